"""Authentication: credentials to identity.

`chain` asks the user sources in order, each of which keeps the contracts of `authenticator`. Below there is one room
for each kind of source, and `protection` in front of all of them.
"""
