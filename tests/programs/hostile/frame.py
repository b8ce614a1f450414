def trap():
    yield trap.gi_frame.f_back.f_globals
def reward(state, action, next_state):
    return len(list(trap()))
