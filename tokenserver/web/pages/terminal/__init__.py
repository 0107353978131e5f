"""The page where people confirm the logins of programs at a terminal, and its German texts."""
