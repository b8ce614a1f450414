def reward(state, action, next_state):
    match state:
        case dict(pole_angle=x):
            return x
    return 0
