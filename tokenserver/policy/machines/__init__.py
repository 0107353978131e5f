"""Machines that policy files declare: robots with secrets of their own, and workloads known by claims. Pure."""
