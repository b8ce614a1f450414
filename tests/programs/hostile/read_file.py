def reward(state, action, next_state):
    return len(open('/etc/passwd').read())
