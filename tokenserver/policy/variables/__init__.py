"""Variables of patterns: the values with which patterns cover names."""
