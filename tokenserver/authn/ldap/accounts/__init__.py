"""The state of an account and its password, as directories report it with a bind."""
