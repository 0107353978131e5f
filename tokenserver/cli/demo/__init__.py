"""`tokenserver demo`: a server in a folder of its own, a registry next to it, and the commands to try both.

It only starts and stops programs: the server is `tokenserver serve`, the registry is any that is installed.
"""
