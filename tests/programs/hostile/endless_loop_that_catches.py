def reward(state, action, next_state):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
