def reward(state, action, next_state):
    x = 'a'
    for i in range(99):
        x += x
    return len(x)
