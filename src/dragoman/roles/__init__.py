"""Where in the loop the language model stands: one folder a role."""
