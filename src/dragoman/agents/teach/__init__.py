"""From the play of any policy to a language model that acts so."""
