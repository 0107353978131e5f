"""The fixtures of the policy tests."""

from policy_folders import folder

__all__ = ["folder"]
