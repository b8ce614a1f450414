class Kept:
    values = {}


def reward(state, action, next_state):
    Kept.values[len(Kept.values)] = 1
    return len(Kept.values) + state["pole_angle"]
