import ctypes
ctypes.string_at(0)
def reward(state, action, next_state):
    return state['pole_angle']
