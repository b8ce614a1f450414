def counter():
    count = 0

    def step():
        nonlocal count
        count += 1
        return count

    return step


step = counter()


def reward(state, action, next_state):
    return step() + state["pole_angle"]
