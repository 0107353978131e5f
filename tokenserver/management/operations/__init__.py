"""What actors may do: with access keys, with the secrets of robots, and with stored logins."""
