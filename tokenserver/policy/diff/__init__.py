"""What a change of policies grants and takes away, with examples. Pure."""
