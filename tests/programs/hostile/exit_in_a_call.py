def reward(state, action, next_state):
    exit(1)
    return state['pole_angle']
