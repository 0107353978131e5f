"""The path of one request: admission, exchange, ruling, audit, shadow comparison, outcome.

Knows nothing of HTTP and nothing of where credentials and policies come from.
"""
