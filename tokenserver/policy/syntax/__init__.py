"""The shape of policy files: what may stand where, and text turned into types, each fault with its line."""
