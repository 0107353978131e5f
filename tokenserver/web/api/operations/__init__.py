"""The operations of the API: what each path and method does, and the table of all of them."""
