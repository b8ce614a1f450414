import numpy as np

def potential(state):
    # Define a function to calculate the potential value of a state
    # This could involve the reward function, utility function, or any other metric
    # For demonstration, let's just return a simple value
    return np.sqrt((state["position_of_the_car_along_the_x_axis"] - 0.4726)**2 + (state["velocity_of_the_car"] - 0.154)**2)

# Example usage
state = {'position_of_the_car_along_the_x_axis': 0.3, 'velocity_of_the_car': 0.1}
print(potential(state))
