def reward(state, action, next_state):
    raise KeyboardInterrupt
