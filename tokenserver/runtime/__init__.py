"""Technical building blocks that would be the same in any other program: caches, locks, shared memory, pacing.

Nothing here knows of tokens, policies or users.
"""
