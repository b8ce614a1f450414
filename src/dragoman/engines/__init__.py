"""Training: the parts of an experiment, and the library that trains them."""
