def a(x):
    return b(x)
def b(x):
    return a(x)
def reward(state, action, next_state):
    return a(1.0)
