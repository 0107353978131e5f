"""Verification of the chain of audit events: which lines were changed, removed, reordered or added.

How lines are linked and sealed is decided in `exchange/audit_chain/`. Pure.
"""
