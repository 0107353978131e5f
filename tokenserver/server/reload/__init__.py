"""Hot reload of users, keys and policies, one part at a time.

`parts` defines what is watched, `watch` decides when a change is loaded, `settling` finds the complete content of files
that are rewritten all the time, and `live` composes and swaps the snapshot.
"""
