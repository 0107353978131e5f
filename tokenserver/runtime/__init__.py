"""Technical building blocks that would be the same in any other program: caches, locks, shared memory, pacing.

Nothing here depends on tokens, policies or users.
"""
