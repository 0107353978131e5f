"""Loading files into a policy set: folder, delegation, linker, incremental reload, change gating, git revisions.

The only room of `policy/` with input and output.
"""
