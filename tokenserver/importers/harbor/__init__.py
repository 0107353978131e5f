"""Harbor: an export of its API v2.0, and what its members, groups and robots may pull, push and delete."""
