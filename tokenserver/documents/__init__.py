"""Reading files safely: bytes with their permissions checked, strict YAML, and typed documents with places."""
