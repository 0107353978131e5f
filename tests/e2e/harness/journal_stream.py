"""Starts a program as systemd starts a unit with `StandardOutput=journal`: both streams are connections to journald.

usage: journal_stream.py UNIT COMMAND...
"""

import os
import socket
import sys

SOCKET = "/run/systemd/journal/stdout"

unit, command = sys.argv[1], sys.argv[2:]
for descriptor in (1, 2):
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(SOCKET)
    # Identifier, unit, priority, whether lines may begin with one, and what else gets them.
    stream.sendall(f"{unit.partition('.')[0]}\n{unit}\n6\n1\n0\n0\n0\n".encode())
    os.dup2(stream.fileno(), descriptor, inheritable=True)
    stream.close()
os.execvp(command[0], command)  # noqa: S606 - the command is the test's own
