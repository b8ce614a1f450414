def reward(state, action, next_state):
    return len(reward.__globals__['__builtins__'])
