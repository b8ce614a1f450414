import gymnasium
import torch
from torch import nn

import dragoman

envs = gymnasium.make_vec("CartPole-v1", num_envs=4)
envs = dragoman.observe(envs, "smollm2-135m", dragoman.Observe(layer=4))

size, count = envs.single_observation_space.shape[0], envs.single_action_space.n
policy = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, count))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)

features, _ = envs.reset(seed=0)
log_probs, rewards, alive = [], [], []
for _ in range(16):
    choice = torch.distributions.Categorical(logits=policy(torch.as_tensor(features)))
    actions = choice.sample()
    features, reward, terminated, truncated, _ = envs.step(actions.numpy())
    log_probs.append(choice.log_prob(actions))
    rewards.append(torch.as_tensor(reward, dtype=torch.float32))
    alive.append(torch.as_tensor(~(terminated | truncated), dtype=torch.float32))

returns, future = [], torch.zeros(envs.num_envs)
for reward, goes_on in zip(reversed(rewards), reversed(alive), strict=True):
    future = reward + 0.99 * future * goes_on
    returns.append(future)
loss = -(torch.stack(log_probs) * torch.stack(returns[::-1])).mean()
optimizer.zero_grad()
loss.backward()
optimizer.step()
print(f"loss {loss.item():.2f}")
