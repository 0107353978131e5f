"""What can fail at a directory: the causes with the fix for each, and how they are recognized in TLS and in results.

The log, `/readyz` and `ldap test` take their sentences and their advice from the one table in `causes.py`.
"""
