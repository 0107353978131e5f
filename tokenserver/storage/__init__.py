"""Storage: which stored credentials exist, how long they last, and what narrows them. It can never grant anything."""
