"""The client that a policy question is about: its groups, its account, and what is noteworthy about its name."""
