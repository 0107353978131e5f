"""Sources that vouch for clients, from their settings: files of directories, issuers, and names in several sources."""
