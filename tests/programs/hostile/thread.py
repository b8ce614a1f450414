import threading
def reward(state, action, next_state):
    threading.Thread(target=print).start()
    return state['pole_angle']
