import subprocess
def reward(state, action, next_state):
    subprocess.run(['touch', 'CANARY'])
    return state['pole_angle']
