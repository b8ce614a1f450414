import gymnasium

import dragoman
from dragoman.describe.families.minigrid import MiniGridDescriber
from dragoman.testing import ScriptedModel

env = gymnasium.make("minigrid:MiniGrid-Empty-5x5-v0")
model = ScriptedModel(lambda text: [text.count("wall"), text.count("goal")])
seen = dragoman.observe(env, model, describer=MiniGridDescriber(parity=True))
observation, info = seen.reset(seed=0)
print(model.calls[-1])
