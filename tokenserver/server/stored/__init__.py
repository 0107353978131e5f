"""The storage of a server: opening it for commands and workers, and preparing it at the start."""
