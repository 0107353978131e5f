"""The audit trail, read: events out of log files, and the questions that auditors ask about them.

What an event has is decided in `exchange/` and `management/`. Pure but for `log_files`.
"""
