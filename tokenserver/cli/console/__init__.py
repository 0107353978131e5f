"""What commands show and ask at a terminal: tables, the progress of long work, and prompts."""
