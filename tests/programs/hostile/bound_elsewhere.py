def other():
    exec = 1
    _dragoman_place = 2


def reward(state, action, next_state):
    exec("import math")
    _dragoman_place.append(1)
    return len(_dragoman_place)
