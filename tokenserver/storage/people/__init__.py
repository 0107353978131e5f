"""People in a browser: their sessions, logins in progress, and those whom an OpenID provider vouches for."""
