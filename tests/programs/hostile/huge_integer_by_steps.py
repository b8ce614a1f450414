def reward(state, action, next_state):
    x = 3
    for i in range(999):
        x = x * x
    return x
