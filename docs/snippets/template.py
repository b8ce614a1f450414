import gymnasium

import dragoman

env = gymnasium.make("CartPole-v1")
describer = dragoman.describe_env(
    env,
    precision=2,
    observation="The pole leans {pole_angle}, the cart is at {cart_position}.",
    actions=["push left", "push right"],
)
print(describer.observation(*env.reset(seed=0)))
