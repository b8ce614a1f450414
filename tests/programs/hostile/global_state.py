count = 0
def reward(state, action, next_state):
    global count
    count += 1
    return count / 1000
