"""Where in the loop the language model stands: one file a role, each readable alone."""
