"""Settings of issuers whose JWTs are trusted."""
