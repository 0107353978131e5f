"""What the end-to-end tests run: real registries, real clients, the server itself, and the wire between them."""
