"""One module a verb; its function of the same name is the command."""
