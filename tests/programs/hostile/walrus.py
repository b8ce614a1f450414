def reward(state, action, next_state):
    return (x := state['pole_angle']) + len([x := i for i in range(10)])
