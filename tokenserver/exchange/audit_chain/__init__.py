"""The chain of audit events: links from each line to the line before, and seals by the signing key.

What an auditor concludes from a chain is in `audit/`.
"""
