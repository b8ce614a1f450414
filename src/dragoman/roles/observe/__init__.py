"""The observe role: s_t = f(o_t), the language model as the agent's observation model."""
