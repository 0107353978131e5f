"""The playground: edited policy files examined by a process of its own, within limits, and written nowhere."""
