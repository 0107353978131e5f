"""Changes of the configuration of a running server: what differs, how each key takes effect, and its transfer."""
