def reward(state, action, next_state):
    return 1e6 * state['pole_angle']
