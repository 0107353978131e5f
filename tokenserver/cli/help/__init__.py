"""`tokenserver help`: the pages of docs/, which the package carries, and the help texts of commands."""
