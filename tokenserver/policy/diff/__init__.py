"""What a change of policies grants and removes, with witnesses. Pure."""
