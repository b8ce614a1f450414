def reward(state, action, next_state):
    return 1 / (state['pole_angle'] - state['pole_angle'])
