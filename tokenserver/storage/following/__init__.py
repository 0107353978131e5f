"""How a worker's copy of the storage stays current: signals of changes, reading in small pieces, and last uses.

The copy itself is `storage/index.py`.
"""
