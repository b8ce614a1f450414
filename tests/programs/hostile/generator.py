def reward(state, action, next_state):
    yield state['pole_angle']
