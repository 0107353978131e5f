"""Diagnosis of a directory for `tokenserver ldap test`: each step of a login, its result, and the fix where one fails.

It reports more than a login does; nothing on the path of a request imports it.
"""
