import re
def reward(state, action, next_state):
    return len(re.findall('(a*)*b', 'a' * 60))
