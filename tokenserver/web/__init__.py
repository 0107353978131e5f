"""The only home of HTTP and Flask: requests in, answers out, no decision of its own."""
