"""A reward learnt from the model's choices between pairs of states."""
