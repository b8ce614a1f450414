@open
def reward(state, action, next_state):
    return 'CANARY'
