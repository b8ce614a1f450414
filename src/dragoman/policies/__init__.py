"""Policies as PyTorch modules that know no training library: see `dragoman.policies.acting`."""
