def reward(state, action, next_state):
    return env.step(action)
