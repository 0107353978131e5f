"""Policies: what an identity may do. Policy files become one frozen policy set, and `decide` answers from it.

The core is pure. `loading/` reads the folder, `syntax/` parses its files, and `testing/` runs their tests; `analysis/`
compares patterns and conditions for `lint/`, `diff/` and `queries/`.
"""
