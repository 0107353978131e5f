"""The client's side: logins that clients have stored, their credential helpers, and proxies in the way. Pure."""
