"""The shadow peer: an old token server that is asked the same beside this one, off the path of requests.

Only differences are recorded. Neither the peer's answer nor its absence changes an answer of this server.
"""
