seen = []
def reward(state, action, next_state):
    seen.append(action)
    return len(seen) / 5000
