def reward(state, action, next_state):
    kept = []
    while True:
        kept.append('a' * 10**6)
