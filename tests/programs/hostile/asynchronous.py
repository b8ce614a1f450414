async def reward(state, action, next_state):
    return state['pole_angle']
