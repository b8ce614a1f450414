def reward(state, action, next_state):
    return len(f'{state.__class__!r:>1000000000000}')
