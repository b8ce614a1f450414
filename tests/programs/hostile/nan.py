def reward(state, action, next_state):
    x = 1e308 * 10
    return x - x
