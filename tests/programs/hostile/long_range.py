def reward(state, action, next_state):
    return sum(range(10**15))
