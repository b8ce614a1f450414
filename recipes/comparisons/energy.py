"""A potential for the mountain car by hand, in the form of programs that models write."""

import math


def potential(state: dict[str, float]) -> float:
    """Return the energy of the car: its height, and half the square of its speed."""
    height = 0.0025 * math.sin(3 * state["position_of_the_car_along_the_x_axis"]) / 3
    return 1000 * (height + state["velocity_of_the_car"] ** 2 / 2)
