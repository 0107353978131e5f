"""What the storage keeps for the audit trail: which chains servers have written, and what each server had in force.

The trail itself is what servers write to standard output. What is here can only show that something of it is missing.
"""
