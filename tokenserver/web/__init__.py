"""HTTP and Flask: parses requests and writes responses, and decides nothing. The only importer of Flask."""
