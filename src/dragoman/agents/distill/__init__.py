"""From a policy with a language model to a small network without one."""
