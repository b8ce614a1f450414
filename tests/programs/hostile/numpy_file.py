import numpy as np
def reward(state, action, next_state):
    np.save('CANARY', 1)
    return np.tanh(state['pole_angle'])
