def reward(state, action, next_state):
    if action:
        break
    return 0
