"""The server as operating-system processes: the master, its workers, the listener, limits, outputs and the log format.

What a worker serves is the application of `web`; granian is imported in this room alone.
"""
