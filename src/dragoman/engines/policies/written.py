"""Plays a policy that writes its actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Text
from numpy.typing import NDArray

from dragoman.engines.policies.policy import ModulePolicy, View
from dragoman.roles.act.written import WrittenPolicy


class WritingPolicy(ModulePolicy):
    """Plays a `WrittenPolicy`: what it writes, as the number of the action that it names.

    Where actions are texts, they are what it writes.

    Attributes:
        said: What it wrote last, with its thoughts.
    """

    module: WrittenPolicy
    said: tuple[str, ...] = ()

    def act(self, batch: Any, sampled: bool) -> NDArray[Any]:
        """Return the actions that were written ``(B,)``, -1 where a text names none."""
        with torch.no_grad():
            seen = self.tensors(batch)
            ids = self.module.write(seen, greedy=not sampled)
        self.said = tuple(self.module.said(ids))
        actions = self.module.actions(seen, ids)
        kind = object if isinstance(self.actions, Text) else np.int64
        return np.array(actions, dtype=kind)

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return the critic's value; of texts there are too many to list."""
        return View(float(self.module.values(batch)[0]))
