"""The groups of a directory user: by search, by `memberOf`, and by primary group."""
