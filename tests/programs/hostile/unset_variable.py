def reward(state, action, next_state):
    if state['pole_angle'] > 0:
        x = 1
    return x
