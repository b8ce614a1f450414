def reward(state, action, next_state):
    if action:
        return {'a': state['pole_angle']}
    return {'b': 1.0}
