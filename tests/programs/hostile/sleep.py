import time
def reward(state, action, next_state):
    time.sleep(10**6)
    return state['pole_angle']
