"""Hot reload of one part at a time: users, keys, policies.

How each part is watched, when a change is loaded, and what is loaded of files that never stay unchanged. `live` puts
the parts together and swaps the snapshot.
"""
