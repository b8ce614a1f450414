import math
def reward(state, action, next_state):
    return math.sqrt(state['cart_velocity'])
