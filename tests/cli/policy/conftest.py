"""The fixtures of the policy commands."""

from policy_commands import folder, run, site

__all__ = ["folder", "run", "site"]
