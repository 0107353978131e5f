"""Go's readings of text, on which configurations of Go programs rely: yaml.v2, path.Match, regexp, addresses. Pure."""
