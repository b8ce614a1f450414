def reward(state, action, next_state):
    return getattr(state, '__cl' + 'ass__')
