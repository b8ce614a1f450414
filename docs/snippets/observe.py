import gymnasium

import dragoman

envs = gymnasium.make_vec("CartPole-v1", num_envs=8)
envs = dragoman.observe(envs, "smollm2-135m", dragoman.Observe(layer=4))
features, infos = envs.reset(seed=0)  # (8, 1152): last and mean pooling side by side
