"""Pages for people, made on the server and without scripts: login, account, administration. Only with a storage."""
