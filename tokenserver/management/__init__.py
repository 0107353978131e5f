"""Managing credentials and logins: who may do what to which. It knows no HTTP."""
