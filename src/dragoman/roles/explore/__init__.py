"""The explore role: r_t + w b(f(o_t)), a bonus for states that are new to the language model."""
