import math
def reward(state, action, next_state):
    return math.factorial(10**8)
