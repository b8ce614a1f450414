def reward(state, action, next_state):
    ｏｐｅｎ('CANARY', 'w')
    return state['pole_angle']
