def count(seen=[]):
    seen.append(1)
    return len(seen)


def reward(state, action, next_state):
    return count() + state["pole_angle"]
