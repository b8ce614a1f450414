def reward(state, action, next_state):
    x = True + True
    for i in range(64):
        x *= x
    return x % 2 + state['pole_angle']
