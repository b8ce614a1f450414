def reward(state, action, next_state):
    next_state.clear()
    return action
