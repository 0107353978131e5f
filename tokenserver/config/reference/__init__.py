"""What configuration keys mean, in words, and their JSON Schema: for editors and for docs/configuration.md."""
