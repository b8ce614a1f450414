reward = lambda state, action, next_state: 1
