"""What the storage keeps about the audit trail: which chains of events servers have written, and how far they came.

The trail itself is what servers write to standard output. What is here can only show that something of it is missing.
"""
