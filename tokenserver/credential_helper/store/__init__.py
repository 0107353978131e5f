"""What the credential helper keeps: logins by registry, in a file of the user or in the keyring of the system."""
