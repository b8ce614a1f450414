"""Statistics of scores: intervals, paired tests, power and survival."""
