"""The engine on Stable-Baselines3."""
