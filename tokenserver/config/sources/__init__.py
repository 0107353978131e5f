"""Settings of the sources that vouch for clients: directories, issuers of workloads, and what names become."""
