"""A frozen GPT-2 is the agent's eyes; a softmax network on its features learns CartPole.

    python docs/gpt2_cartpole.py [MODEL]

The policy gradient is REINFORCE (Williams, 1992) with normalised returns-to-go.
"""

import sys

import gymnasium as gym
import torch
from torch import nn

import dragoman


def main(model="gpt2", layer=4, episodes=300, seed=0):
    torch.manual_seed(seed)
    # o_t --describe--> text --f--> s_t: the environment now observes hidden states of the model.
    settings = dragoman.Observe(layer=layer, freeze_after=2000)
    env = dragoman.observe(gym.make("CartPole-v1"), model, settings)
    # pi(a|s) = g(s): two layers with 128 hidden units and a softmax over the two pushes.
    policy = nn.Sequential(
        nn.Linear(env.observation_space.shape[0], 128),
        nn.ReLU(),
        nn.Linear(128, env.action_space.n),
        nn.Softmax(dim=-1),
    )
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    returns = []
    for episode in range(episodes):
        state, _ = env.reset(seed=1000 * seed + episode)
        log_probs, rewards, done = [], [], False
        while not done:
            distribution = torch.distributions.Categorical(policy(torch.as_tensor(state)))
            action = distribution.sample()
            state, reward, terminated, truncated, _ = env.step(action.item())
            log_probs.append(distribution.log_prob(action))
            rewards.append(reward)
            done = terminated or truncated
        # What was earned from each step on, discounted; the normalisation is the baseline.
        returns_to_go, following = [], 0.0
        for reward in reversed(rewards):
            following = reward + 0.98 * following
            returns_to_go.insert(0, following)
        advantages = torch.tensor(returns_to_go)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        loss = -(torch.stack(log_probs) * advantages).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        returns.append(sum(rewards))
        if (episode + 1) % 10 == 0:
            print(f"episode {episode + 1}: mean return {sum(returns[-10:]) / 10:.0f}", flush=True)
    return returns


if __name__ == "__main__":
    main(*sys.argv[1:])
