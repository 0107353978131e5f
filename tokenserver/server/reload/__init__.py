"""Hot reload of users, keys and policies, one part at a time.

`parts` says what is watched, `watch` when a change is loaded, `settling` what is loaded of files that are rewritten all
the time; `live` puts the parts together and swaps the snapshot.
"""
