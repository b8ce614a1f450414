def reward(state, action, next_state):
    return len('%*d' % (10**10, 1))
