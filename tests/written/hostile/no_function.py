reward = 5
