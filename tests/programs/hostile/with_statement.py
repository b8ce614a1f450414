def reward(state, action, next_state):
    with open('CANARY', 'w') as file:
        return file.write('gone')
