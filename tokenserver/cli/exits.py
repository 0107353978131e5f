"""Exit codes of all commands. docs/run-in-production.md says what a supervisor makes of those of `serve`."""

from __future__ import annotations

OK = 0
"""Done, or the answer is yes."""

NO = 1
"""The answer is no, there are findings, or it is too early; the command itself worked."""

ADDRESS_IN_USE = 1
"""`serve`: another process listens on the address. A supervisor retries after 1; 2 says that files are at fault."""

WRONG_USE = 2
"""Wrong options, or faulty files; nothing was done. click ends with the same code for options that it rejects."""

LESS_ACCESS = 3
"""`policy diff`: the change only takes access away."""

NEW_ACCESS = 4
"""`policy diff`: the change grants access that did not exist before."""
