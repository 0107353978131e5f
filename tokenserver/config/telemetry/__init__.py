"""Settings of what the server tells other programs about the requests that it answers: traces."""
