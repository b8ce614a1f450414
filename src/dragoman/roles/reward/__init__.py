"""The reward role: r_t = h(f(o_t), a_t), the language model as a part of the reward."""
