"""`python -m tokenserver` is `tokenserver`."""

from tokenserver.cli import main

main()
