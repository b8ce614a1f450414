def reward(state, action, next_state):
    return len([0] * 10**11)
