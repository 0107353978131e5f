"""Requests to LDAP servers, encoded."""
