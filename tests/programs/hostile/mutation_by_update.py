def reward(state, action, next_state):
    state.update(next_state)
    return action
