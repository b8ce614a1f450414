class Evil(float):
    def __float__(self):
        return open('CANARY', 'w')
def reward(state, action, next_state):
    return Evil(1)
