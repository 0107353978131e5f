"""Why tokens are refused: facts of both sides are read, compared by pure checks, and told as findings with a mend."""
