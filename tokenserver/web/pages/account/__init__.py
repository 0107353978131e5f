"""The pages of an account: keys, robots and logins of a person and, for administrators, of everybody."""
