import urllib.request
urllib.request.urlopen('http://127.0.0.1:PORT/')
def reward(state, action, next_state):
    return state['pole_angle']
