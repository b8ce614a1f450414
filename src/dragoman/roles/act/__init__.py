"""The act role: pi(a_t|s_t) = g(f(o_t)), the language model as a part of the policy."""
