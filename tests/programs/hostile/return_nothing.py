def reward(state, action, next_state):
    state['pole_angle']
