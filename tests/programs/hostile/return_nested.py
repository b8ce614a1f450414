def reward(state, action, next_state):
    x = 1
    for i in range(10**5):
        x = [x]
    return x
