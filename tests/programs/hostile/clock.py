import time
def reward(state, action, next_state):
    return time.time()
