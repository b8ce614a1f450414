def reward(state, action, next_state):
    return (-8 - abs(state['pole_angle'])) ** 0.5
