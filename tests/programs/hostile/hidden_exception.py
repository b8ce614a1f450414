def reward(state, action, next_state):
    try:
        return open('CANARY').read()
    except Exception:
        return 0
