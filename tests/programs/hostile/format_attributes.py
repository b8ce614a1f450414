def reward(state, action, next_state):
    return len('{0.__class__.__mro__}'.format(state))
