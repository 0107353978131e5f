"""`docker-credential-tokenserver`: the credential helper of docker and other clients, for people and machines.

Only the standard library is imported, and on the way of a stored answer nearly nothing of it: clients start the
program for each registry and image. `program` is the entry, `get` the way of a stored answer; what needs the network is
imported when it is needed.
"""
