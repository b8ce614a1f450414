"""A server that loads adapters while it runs, as vLLM does, with a tiny model that writes."""

from __future__ import annotations

import copy
import threading
import warnings
from pathlib import Path
from typing import Any

import peft
import torch

from dragoman.generation import Sampling
from dragoman.models.torch_model import TorchModel
from tests.models import tiny
from tests.models.remote.stub_server import StubServer, answering, usage

REFUSED = answering({"error": {"message": "it is not here"}}, status=404)


class AdapterServer(StubServer):
    """Holds the tiny llama; a request that names an adapter is answered with it on the weights.

    It writes by the draws of our own writer, so that equal seeds give equal texts.

    Attributes:
        loads: Whether adapters can be loaded.
        stale: Whether it answers with the adapter that was loaded first, whatever is asked.
        change: Changes a well-formed answer before it is sent.
        loaded: Names of adapters that it has loaded, in order, and those that it holds.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.loads, self.stale = True, False
        self.change = lambda answer: answer
        self.loaded: list[str] = []
        self.held: dict[str, TorchModel] = {}
        self.first: TorchModel | None = None
        self._parts = tiny.make_parts("llama")
        self._one = threading.Lock()

    def _answer(self, path: str, body: Any) -> Any:
        with self._one:
            if path == "/v1/completions":
                return self.change(self._write(body))
            if not self.loads:
                return REFUSED
            if path == "/v1/load_lora_adapter":
                return self._load(body["lora_name"], Path(body["lora_path"]))
            assert path == "/v1/unload_lora_adapter"
            return REFUSED if self.held.pop(body["lora_name"], None) is None else b"Success"

    def _load(self, name: str, folder: Path) -> Any:
        assert folder.is_absolute()
        if name in self.held:
            return answering({"error": {"message": "has already been loaded"}}, status=400)
        transformer, tokenizer = self._parts
        # PEFT draws weights before it reads them, and this is the process that is trained in.
        with warnings.catch_warnings(), torch.random.fork_rng():
            # PEFT asks Transformers by a name that is going out of use.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(transformer), str(folder))
        self.held[name] = TorchModel(wrapped.merge_and_unload(), tokenizer, name=name)
        self.first = self.first or self.held[name]
        self.loaded.append(name)
        return b"Success: LoRA adapter added successfully."

    def _write(self, body: Any) -> Any:
        if body["model"] not in self.held:
            return REFUSED
        assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0.0, 1.0)
        model = self.first if self.stale else self.held[body["model"]]
        assert model is not None
        assert body["stop_token_ids"] == list(model.end_tokens)
        sampling = Sampling(
            body["max_tokens"], body["temperature"], stop=tuple(body.get("stop", ()))
        )
        with torch.inference_mode():
            (text,) = model.write([body["prompt"]], sampling, [body.get("seed", 0)])
        log_probs = {
            "tokens": [f"token {i}" for i in text.tokens],
            "token_logprobs": text.log_probs.tolist(),
        }
        choice = {"index": 0, "text": text.text, "finish_reason": text.finish}
        choice |= {"logprobs": log_probs, "token_ids": list(text.tokens)}
        counted = usage(len(body["prompt"]), len(text.tokens))
        return {"model": body["model"], "choices": [choice], "usage": counted}
