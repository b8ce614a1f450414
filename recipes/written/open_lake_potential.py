def potential(state):
    if state["value"] == 0:
        return 0
    elif state["value"] == 143:
        return 1
    else:
        return round(abs(state["value"] - 11) / 2)

# Test the function with a few states
print(potential({"value": 0}))  # 0
print(potential({"value": 143})) # 1 (should be 1)
print(potential({"value": 12}))  # 1 (should be 1)
print(potential({"value": 11}))  # 1 (should be 1)
print(potential({"value": -5}))  # 0 (should be 0, as ice is slippery)
print(potential({"value": 0}))  # 0 (should be 0, as ice is slippery)
print(potential({"value": 143}))  # 1 (should be 1)
print(potential({"value": 12}))  # 1 (should be 1)
print(potential({"value": 11}))  # 1 (should