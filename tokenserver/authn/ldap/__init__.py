"""Users of an LDAP directory: connections, searches, binds, and what a hostile or broken directory may answer.

Everything that speaks LDAP is here; `connection` alone knows ldap3.
"""
