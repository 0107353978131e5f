"""Settings of other servers that are asked about clients: directories, issuers of workloads, a shadow peer."""
