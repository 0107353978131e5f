"""The user of a login: the search below all bases, binds without a service account, and hints about typed domains."""
