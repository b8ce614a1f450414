def reward(state, action, next_state):
    return compile('1', 'x', 'eval')
