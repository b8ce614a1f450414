def reward(state, action, next_state):
    state['pole_angle'] = 0
    return state['pole_angle'] + action
