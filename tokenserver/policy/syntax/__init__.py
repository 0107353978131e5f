"""The syntax of policy files: the allowed keys, and parsing of text into types; each fault has its line."""
