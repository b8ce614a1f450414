def reward(state, action, next_state):
    x = 7
    for i in range(20):
        x = x * x
    return x
