def reward(state, action, next_state):
    del state['pole_angle']
    return action
