import gymnasium

import dragoman

env = gymnasium.make("Taxi-v4")
describer = dragoman.describe_env(env)
observation, info = env.reset(seed=0)
print(describer.observation(observation, info))
print([text for text in describer.actions(info) if text])
