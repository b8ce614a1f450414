from os import environ
def reward(state, action, next_state):
    return len(environ['CANARY'])
