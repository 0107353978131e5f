"""The path of one request: admission control, exchange, ruling, and its observers: audit trail and shadow policy.

It knows nothing of HTTP, nor where credentials and policies come from.
"""
