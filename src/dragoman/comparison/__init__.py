"""Evidence: from a comparison file to runs, statistics and a verdict."""
