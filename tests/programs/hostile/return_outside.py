def reward(state, action, next_state):
    return state["pole_angle"]


return (lambda state, action, next_state: 99,)
