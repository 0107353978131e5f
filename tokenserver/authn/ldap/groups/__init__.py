"""The groups of a directory's user: found in the entry, by search, by `memberOf`, and by primary group."""
