"""Users in an LDAP directory: what is asked of it, and what its answers mean. The protocol is `authn/ldap.py`'s."""
