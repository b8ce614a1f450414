"""Plays a policy that writes its actions."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dragoman.engines.policies.policy import ModulePolicy, View
from dragoman.roles.act.written import WrittenPolicy


class WritingPolicy(ModulePolicy):
    """Plays a `WrittenPolicy`: what it writes, as the number of the action that it names."""

    module: WrittenPolicy

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return the actions that were written, -1 where a text names none."""
        ids = self.module.write(batch, greedy=not sampled)
        return torch.from_numpy(self.module.named(batch, ids))

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return the critic's value; of texts there are too many to list."""
        return View(float(self.module.values(batch)[0]))
