"""Checks of the servers that vouch for clients: issuers of workloads, and the OpenID providers where people log in."""
