from math import *
def reward(state, action, next_state):
    return sin(state['pole_angle'])
