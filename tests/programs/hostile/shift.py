def reward(state, action, next_state):
    return 1 << 10**12
