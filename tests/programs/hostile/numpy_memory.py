import numpy as np
def reward(state, action, next_state):
    return np.zeros(10**12).sum()
