"""Users of an operator's own check of passwords, a hook: an HTTP server or a program, whose answers are not trusted."""
