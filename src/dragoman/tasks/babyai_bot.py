"""The reference policy of BabyAI: MiniGrid's own planner as a function of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym

from dragoman.errors import ConfigError, MissingExtraError

try:
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel
    from minigrid.utils.baby_ai_bot import BabyAIBot
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name).partition(".")[0], extra="minigrid") from error


@dataclass
class _Plan:
    """What the bot has seen of one episode and means to do.

    Attributes:
        mission: The episode's instruction: a new object at every reset.
        step: Number of the step that `action` is for.
        action: The latest advice.
    """

    bot: Any
    mission: Any
    step: int
    action: int


_PLANS: WeakKeyDictionary[RoomGridLevel, _Plan] = WeakKeyDictionary()
"""The plans of environments that are alive."""


def bot(env: gym.Env[Any, Any]) -> int:
    """Return what `minigrid.utils.baby_ai_bot` would do in any BabyAI level.

    It explores, and knows only what the agent has seen so far. Ask it at every step from the first
    of an episode: it remembers and plans. In the environments of `dragoman.tasks.babyai` something
    else than its advice may be done, and it plans again from there; elsewhere it takes its advice
    for followed.

    Raises:
        ConfigError: This is no BabyAI level, or some steps of the episode went by without it.
    """
    level = env.unwrapped
    if not isinstance(level, RoomGridLevel):
        raise ConfigError(
            f"this policy plays BabyAI, not {type(level).__name__}",
            cure="give it gymnasium.make('dragoman/BabyAIText-Mixed-v0') or a level of BabyAI",
        )
    plan = _PLANS.get(level)
    step = int(level.step_count)
    if plan is None or plan.mission is not level.instrs:
        plan = _Plan(BabyAIBot(level), level.instrs, step=-1, action=-1)
    if step not in (plan.step, plan.step + 1):
        raise ConfigError(
            f"the bot was asked at step {step}, and before that at step {plan.step}",
            cure="ask it at every step, from the reset on",
        )
    if step != plan.step:
        taken = getattr(level, "last_action", plan.action) if step else None
        plan.action = int(plan.bot.replan(taken))
        plan.step = step
    _PLANS[level] = plan
    return plan.action
