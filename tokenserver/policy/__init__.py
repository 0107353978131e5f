"""What an identity may do: policy files become one frozen policy set, and `decide` answers from it.

`model`, `patterns`, `index`, `decision`, `decide` and `explain` are pure; `load` reads the folder, `check` runs its
tests.
"""
