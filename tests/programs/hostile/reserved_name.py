def reward(state, action, next_state):
    _dragoman_place.append(1)
    return len(_dragoman_place)
