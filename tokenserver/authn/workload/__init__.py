"""Workloads, which prove themselves with a JWT of an issuer: its verification, and the live keys of issuers.

Which workload may do what is declared in policies; this room only tells whether an issuer vouches for these claims.
"""
