from math import cos as float
from math import sin as type


def reward(state, action, next_state):
    return float(state["pole_angle"]) + type(0)
