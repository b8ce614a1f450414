import gymnasium
import numpy as np

import dragoman
from dragoman.testing import ScriptedModel, check_describer


class PoleDescriber:
    """Says only what matters for balancing."""

    def observation(self, observation, info):
        if not np.isfinite(observation).all():
            raise dragoman.SpaceError(f"observation is {observation}", cure="mend the physics")
        side = "right" if observation[2] > 0 else "left"
        speed = "fast" if abs(observation[3]) > 1 else "slowly"
        return f"the pole leans to the {side} and turns {speed}"

    def action(self, action):
        return ("push left", "push right")[action]


env = gymnasium.make("CartPole-v1")
check_describer(PoleDescriber(), env)

model = ScriptedModel(lambda text: [text.count("right"), text.count("fast")])
seen = dragoman.observe(env, model, describer=PoleDescriber())
observation, info = seen.reset(seed=0)
print(model.calls[-1])
