"""Answers for pages: what a client may do and why, who can, and the matrix; as plain values, within a budget. Pure."""
