import gymnasium
import numpy as np

import dragoman

env = gymnasium.make("Pendulum-v1")
one, other = np.array([[0.6, 0.8, 1], [0.6001, 0.7999, 1]], dtype=np.float32)

rounded = dragoman.describe_env(env)
assert rounded.observation(one, {}) == rounded.observation(other, {})
assert rounded.state_key(one) != rounded.state_key(other)

exact = dragoman.describe_env(env, exact=True)
print(exact.observation(one, {}))
print(exact.observation(other, {}))
