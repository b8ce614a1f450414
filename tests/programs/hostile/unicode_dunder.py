def reward(state, action, next_state):
    return state.__ｃlass__
