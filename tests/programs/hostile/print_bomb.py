def reward(state, action, next_state):
    while True:
        print('a' * 10**6)
