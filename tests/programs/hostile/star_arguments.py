def reward(*everything):
    return 1
