import random
def reward(state, action, next_state):
    return random.random()
