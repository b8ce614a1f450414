def reward(state, action, next_state):
    x = 0
    for i in range(999):
        for j in range(999):
            for k in range(999):
                x += 1
    return x
