"""Diagnosis of rejected tokens: facts about both sides, pure checks that compare them, and findings with a fix.

`registry` reads a registry's files, `checks` compares, `examination` does the I/O and runs the checks. The command
line itself is `cli/doctor/`.
"""
