def reward(state, action, next_state):
    if action:
        return 1
