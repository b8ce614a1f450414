import numpy as np

np.pi = 3


def reward(state, action, next_state):
    np.e += 1
    return np.e
