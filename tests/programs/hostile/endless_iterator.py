import itertools
def reward(state, action, next_state):
    return sum(itertools.count())
