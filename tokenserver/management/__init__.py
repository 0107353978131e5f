"""The management of stored credentials: who may make, see and end what, audited before it is answered.

Pages, the API and commands share its rules. It knows no HTTP, and looks everybody up in the snapshot of the moment.
"""
