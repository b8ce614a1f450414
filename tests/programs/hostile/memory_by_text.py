def reward(state, action, next_state):
    return len('a' * 10**12)
