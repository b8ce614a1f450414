def reward(state, action, next_state):
    x = (1.0,)
    for i in range(60):
        x = (x, x)
    return hash(x)
