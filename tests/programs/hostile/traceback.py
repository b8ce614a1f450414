def reward(state, action, next_state):
    try:
        1 / 0
    except ZeroDivisionError as error:
        return len(error.__traceback__.tb_frame.f_globals)
