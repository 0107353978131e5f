"""Pages about policies: what somebody may do and why; for administrators the playground, who can, and the matrix."""
