"""From settings to a running server: composition root, start-up checks, hot reload, and what workers share."""
