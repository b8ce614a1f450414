A = sum(range(10**9))
B = [i for i in range(10**9)]


def reward(state, action, next_state):
    return A + len(B)
