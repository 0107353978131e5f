"""The chain of audit events: numbers and digests of lines, and seals by the signing key.

What an auditor concludes from a chain is in `audit/`.
"""
