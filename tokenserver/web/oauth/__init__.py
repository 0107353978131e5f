"""OAuth 2 at the token endpoint and beside it: grants, the exchange of tokens, and revocation."""
