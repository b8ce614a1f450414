def reward(state, action, next_state):
    return len(().__class__.__mro__[1].__subclasses__())
