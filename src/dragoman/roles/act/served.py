"""Texts of rollouts that a server writes, with the adapters that are trained here.

Each version of the adapters is a folder and a name of its own, in PEFT's format. A name that is
loaded anew would leave the server free to go on with what it has read, or with states that it has
kept of prompts. Versions take turns between rollouts, when nothing is being written.
"""

from __future__ import annotations

import shutil
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError

from dragoman.errors import BudgetError, ModelError, RunError
from dragoman.files import whole_folder
from dragoman.generation import Sampling, ServedText
from dragoman.models.adapters import save_adapter
from dragoman.models.remote import RemoteModel
from dragoman.models.tuned import TunedModel
from dragoman.roles.act.stamps import ServerWarning

ADAPTER = "adapter"
OFFER = (
    "start a server that loads adapters while it runs, such as vLLM with --enable-lora, a "
    "--max-lora-rank of act.tune.rank at least and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its "
    "environment; act.writer.adapters must be a folder that it sees by the same path"
)


class ServedWriter:
    """Writes by a server that holds the model that is trained here, and loads its adapters.

    Args:
        tuned: The model that is trained, through adapters.
        remote: The server.
        adapters: Folder that the server sees too.
        base: What names the model beneath the adapters.

    Attributes:
        version: Which version the server writes with: updates that it has seen.
    """

    def __init__(
        self, tuned: TunedModel, remote: RemoteModel, adapters: Path, base: str | None
    ) -> None:
        self.version = -1
        self._tuned = tuned
        self._remote = remote
        self._adapters = adapters.absolute()
        self._base = base
        # Of this process alone, so that one that goes on after it loads nothing that it has left.
        self._own = f"dragoman-{uuid.uuid4().hex[:12]}"
        self._versions: dict[str, int] = {}
        self._size = int(tuned.inner.transformer.get_input_embeddings().weight.shape[0])

    def open(self) -> None:
        """Try everything that the training will ask for: a version, and a token written with it.

        Raises:
            ModelError: The server does not offer it.
        """
        try:
            self.publish(0)
            (prompt,) = self._tuned.inner.token_ids(["a"])
            self.write([prompt], Sampling(1, temperature=1.0), [0])
        except BaseException:
            self.close()
            raise

    def publish(self, version: int) -> None:
        """Let the server write with the adapters as they are now.

        Args:
            version: Number of updates until now; nothing is done where it is that already.

        Raises:
            ModelError: The server does not load them.
        """
        if version == self.version:
            return
        # First, since a server may have room for one.
        self.close()
        name = f"{self._own}-{version}"
        folder = self._adapters / name
        try:
            with whole_folder(folder) as building:
                save_adapter(self._tuned, building / ADAPTER, self._base)
            self._remote.load_adapter(name, folder / ADAPTER)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError | SafetensorError):
                raise RunError(
                    f"the adapter {folder} cannot be written: {error}",
                    cure="make room there, or name another folder in act.writer.adapters",
                ) from error
            if isinstance(error, ModelError) and not isinstance(error, BudgetError):
                raise ModelError(error.problem, cure=OFFER) from error
            raise
        self._versions[name] = version
        self.version = version

    def write(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[ServedText]:
        """Return one text for each prompt, as `TorchModel.write` does.

        Raises:
            ModelError: The server fails, or writes what the model here could not have written.
        """
        texts = self._remote.write(
            prompts,
            sampling,
            seeds,
            adapter=f"{self._own}-{self.version}",
            ends=self._tuned.inner.end_tokens,
            versions=self._versions,
        )
        for text in texts:
            self._check(text.tokens, sampling)
        return texts

    def close(self) -> None:
        """Let the server and the disk forget the present version, if there is one.

        Warns:
            ServerWarning: The server does not.
        """
        if self.version < 0:
            return
        name = f"{self._own}-{self.version}"
        self.version = -1
        try:
            self._remote.unload_adapter(name)
        except ModelError as error:
            warnings.warn(
                f"the adapter {name} may stay on the server: {error.problem}",
                ServerWarning,
                stacklevel=2,
            )
        finally:
            shutil.rmtree(self._adapters / name)

    def _check(self, ids: Sequence[int], sampling: Sampling) -> None:
        """Refuse ids that no text of the model here has, or that go on behind its end."""
        if max(ids) >= self._size:
            raise ModelError(
                f"the server wrote the token {max(ids)}, but the model here has {self._size}",
                cure="let the server hold the model that is trained here",
            )
        if self._ends(ids[:-1], sampling) or not (
            len(ids) == sampling.max_tokens
            or (len(ids) < sampling.max_tokens and self._ends(ids, sampling))
        ):
            raise ModelError(
                f"the server wrote {len(ids)} tokens, {self._tuned.inner.text(ids)!r:.200}, of at "
                f"most {sampling.max_tokens}; a text of this model ends with its first line or "
                f"one of the tokens {self._tuned.inner.end_tokens}, of which the ids must tell",
                cure="let the server hold the model that is trained here, with room for "
                "act.tune.max_prompt and all that is written, and give ids of what ends a text",
            )

    def _ends(self, ids: Sequence[int], sampling: Sampling) -> bool:
        """Return whether a text ends among these tokens."""
        text = self._tuned.inner.text(ids)
        ends = self._tuned.inner.end_tokens
        return any(one in ends for one in ids) or any(stop in text for stop in sampling.stop)
