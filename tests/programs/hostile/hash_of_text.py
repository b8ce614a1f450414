def reward(state, action, next_state):
    return hash('a') % 7
