"""Browser logins at OpenID providers, without HTML: from the answer of a provider to a session, and logouts."""
