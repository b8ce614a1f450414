"""A frozen GPT-2 is the agent's eyes; a softmax policy on its features learns CartPole.

    python docs/gpt2_cartpole.py [MODEL]

The learner is the advantage actor-critic (Mnih et al., 2016) in plain PyTorch.
"""

import sys

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import dragoman


def main(language_model, layer=4, updates=800, num_envs=16, horizon=8, gamma=0.98, seed=0):
    torch.manual_seed(seed)
    # o_t --describe--> text --f--> s_t: the environments now observe hidden states of the model.
    envs = gym.make_vec("CartPole-v1", num_envs=num_envs)
    settings = dragoman.Observe(layer=layer, freeze_after=4000)
    describer = dragoman.describe_env(envs, precision=2, limits=False)
    envs = dragoman.observe(envs, language_model, settings, describer)
    features = envs.single_observation_space.shape[0]
    # pi(a|s) = g(s): two layers with 128 hidden units, a softmax over the two pushes; V beside it.
    policy = nn.Sequential(
        nn.Linear(features, 128), nn.Tanh(), nn.Linear(128, 2), nn.Softmax(dim=-1)
    )
    value = nn.Sequential(nn.Linear(features, 128), nn.Tanh(), nn.Linear(128, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=7e-4)
    state, _ = envs.reset(seed=seed)
    lengths, finished, was_done = np.zeros(num_envs), [], np.zeros(num_envs, dtype=bool)
    for update in range(1, updates + 1):
        steps = []
        for _ in range(horizon):
            states = torch.as_tensor(state)
            actions = torch.distributions.Categorical(policy(states)).sample()
            state, rewards, terminated, truncated, _ = envs.step(actions.numpy())
            # After an end comes one step that only resets: it teaches nothing.
            steps.append((states, actions, rewards, terminated, was_done))
            lengths += ~was_done
            was_done = terminated | truncated
            finished += lengths[was_done].tolist()
            lengths[was_done] = 0
        with torch.no_grad():
            following = value(torch.as_tensor(state))
        loss = torch.zeros(())
        for states, actions, rewards, terminated, is_reset in reversed(steps):
            # A terminal state is worth nothing more; a cut-off one is worth what V expects.
            following = torch.as_tensor(rewards) + gamma * following * ~torch.as_tensor(terminated)
            now = value(states)
            following = torch.where(torch.as_tensor(is_reset), now.detach(), following).float()
            distribution = torch.distributions.Categorical(policy(states))
            advantage = following - now
            gain = distribution.log_prob(actions) * advantage.detach()
            terms = -gain + 0.5 * advantage**2 - 0.01 * distribution.entropy()
            loss = loss + (terms * ~torch.as_tensor(is_reset)).mean() / horizon
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*policy.parameters(), *value.parameters()], 0.5)
        optimizer.step()
        if update % 50 == 0:
            steps_done, recent = update * num_envs * horizon, np.mean(finished[-50:])
            print(f"{steps_done} steps: return {recent:.0f}", flush=True)
    return finished


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "gpt2"
    main(dragoman.load_model(name))
