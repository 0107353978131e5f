"""Users of an LDAP directory: connections, searches, binds, and protection against hostile or broken servers.

Everything that speaks LDAP is here; only `wire.requests` imports ldap3.
"""
