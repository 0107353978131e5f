"""HTTP requests to other servers, each with a deadline, a bounded response and no redirect."""
