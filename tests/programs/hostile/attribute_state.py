def reward(state, action, next_state):
    reward.count = 1
    return reward.count
