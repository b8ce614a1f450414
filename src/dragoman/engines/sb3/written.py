"""The policy that writes, in the words of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.type_aliases import DictRolloutBufferSamples
from torch import Tensor

from dragoman.engines.sb3.policy import ActPolicy
from dragoman.experiment import Experiment
from dragoman.models.cache import without_memory
from dragoman.roles.act.stamps import Stamps, stamps_of
from dragoman.roles.act.written import WrittenPolicy
from dragoman.roles.role import Models


class WritePolicy(ActPolicy):
    """An actor-critic policy of Stable-Baselines3 that is a `WrittenPolicy` inside.

    Its actions are rows of token ids. Their entropy has no closed form; the library takes
    minus the log-probs for it.

    Attributes:
        stamps: Of the rows that were written last, where a server writes.
    """

    policy: WrittenPolicy  # type: ignore[assignment] # which has no distribution to choose by
    stamps: Stamps | None = None

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids ``(B, L)``, values ``(B,)`` and log-probs of texts or of tokens.

        Those of tokens are ``(B, L)``, zero where there is none; those of texts ``(B,)``.
        """
        ids = self.policy.write(obs, greedy=deterministic)
        values, log_probs = self.policy(obs, ids)
        if self.policy.server is not None:
            self.stamps = stamps_of(self.policy.last, ids, log_probs)
        return ids.float(), values, log_probs if self._by_token else log_probs.sum(dim=1)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values ``(B,)``, and log-probs of texts ``(B,)`` or of all tokens, end to end."""
        ids = actions.long().reshape(-1, self.policy.settings.most_written)
        values, log_probs = self.policy(obs, ids)
        return values, log_probs[ids >= 0] if self._by_token else log_probs.sum(dim=1), None

    @property
    def _by_token(self) -> bool:
        return self.policy.settings.ratio == "token"


class TokenBuffer(DictRolloutBuffer):
    """Keeps the log-prob of each token, and hands out tokens instead of texts.

    Every token has the advantage of its text. Values and returns stay those of texts.
    """

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        shape = (self.buffer_size, self.n_envs, self.action_dim)
        self.log_probs = np.zeros(shape, dtype=np.float32)

    def _get_samples(  # type: ignore[override] # as theirs does
        self, batch_inds: Any, env: Any = None
    ) -> DictRolloutBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        is_token = samples.actions >= 0
        advantages = samples.advantages.unsqueeze(1).expand(is_token.shape)
        return samples._replace(
            old_log_prob=self.to_torch(self.log_probs[batch_inds])[is_token],
            advantages=advantages[is_token],
        )


class StampedBuffer(DictRolloutBuffer):
    """Keeps which version of the adapters has written each row, and how far the server was off.

    Attributes:
        stamps: Returns the stamps of the rows that were written last.
        versions: As in `Stamps`, ``(T, N)``.
        gaps: The same.
    """

    stamps: Callable[[], Stamps]

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        shape = (self.buffer_size, self.n_envs)
        self.versions = np.zeros(shape, dtype=np.int64)
        self.gaps = np.zeros(shape, dtype=np.float32)

    def add(self, *given: Any, **named: Any) -> None:
        """Add a step, with the stamps of its rows."""
        stamps = self.stamps()
        self.versions[self.pos], self.gaps[self.pos] = stamps.versions, stamps.gaps
        super().add(*given, **named)


class StampedTokenBuffer(StampedBuffer, TokenBuffer):
    """The same, of tokens."""


def begin_to_serve(algorithm: Any, experiment: Experiment, models: Models) -> None:
    """Let a server write the rollouts of an algorithm, after everything was tried.

    Raises:
        ModelError: The server does not offer what is needed.
    """
    # They need the extras "remote" and "tune".
    from dragoman.models.adapters import known_as
    from dragoman.roles.act.served import ServedWriter

    act, policy = experiment.act, algorithm.policy
    assert act is not None
    assert act.writer is not None
    assert act.writer.adapters is not None
    named: Any = models.of(act.writer)
    remote: Any = without_memory(named)
    base, folder = known_as(experiment.model.name), Path(act.writer.adapters)
    server = ServedWriter(policy.policy.reader.model, remote, folder, base)
    server.open()
    policy.policy.server = server
    algorithm.rollout_buffer.stamps = lambda: policy.stamps
