"""Changes of what is in force, for the audit trail: policies, users, keys, configuration, and what commands stored.

`reload/` and `stored/` make changes; this room only says what they were, once for all workers of a server.
"""
