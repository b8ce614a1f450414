import math
def reward(state, action, next_state):
    return math.inf
