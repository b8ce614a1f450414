def a(x):
    for i in range(900):
        x += i
    return x
def b(x):
    for i in range(900):
        x += a(i)
    return x
def reward(state, action, next_state):
    return sum(b(i) for i in range(900))
