"""`python -m bench.credential_helper`: how long a client waits for an answer of docker-credential-tokenserver.

A whole process each time: its start, the store with twenty logins, and the answer; as an installed program and as the
zipapp. The yardstick is the same interpreter that starts and does nothing (`python -S -c pass`), measured in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenserver.credential_helper.store.credential_file import CredentialFile
from tokenserver.credential_helper.store.stored_login import StoredLogin

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 0.150
LOGINS = 20
PROGRAM = "import sys; from tokenserver.credential_helper.program import run; sys.exit(run())"


def main() -> None:
    """Print one line for each way to start it."""
    parser = argparse.ArgumentParser(prog="bench.credential_helper", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "tokenserver")
        zipapp = folder / "docker-credential-tokenserver"
        subprocess.run([sys.executable, ROOT / "scripts" / "credential-helper-zipapp", zipapp], check=True)
        ways = {
            "python -S -c pass": [sys.executable, "-S", "-c", "pass"],
            "installed": [sys.executable, "-c", PROGRAM, "get"],
            "zipapp": [sys.executable, str(zipapp), "get"],
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, command in ways.items():
                times[way].append(_seconds(command, folder, way != "python -S -c pass"))
    yardstick = statistics.median(times["python -S -c pass"])
    print(f"{'a stored answer':20} {'median ms':>10} {'best ms':>8} {'ratio':>6} {'limit ms':>9}")
    for way, found in times.items():
        median = statistics.median(found)
        limit = "" if way == "python -S -c pass" else f"{LIMIT * 1000:.0f}"
        print(f"{way:20} {median * 1000:10.1f} {min(found) * 1000:8.1f} {median / yardstick:6.2f} {limit:>9}")


def _fill(folder: Path) -> None:
    now = int(time.time())

    def fill(logins: dict[str, StoredLogin]) -> None:
        for number in range(LOGINS):
            realm, name = "https://auth.example.com/token", f"registry{number}.example.com"
            facts = {"service": name, "checked": now, "probed": now}
            secret = f"tknf_{number:061d}"
            logins[name] = StoredLogin(name, "<token>", secret, realm=realm, **facts)  # type: ignore[arg-type]

    CredentialFile(str(folder)).change(fill)


def _seconds(command: list[str], folder: Path, is_answered: bool) -> float:
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    before = time.perf_counter()
    done = subprocess.run(command, input=b"registry7.example.com", env=environment, capture_output=True, check=True)
    seconds = time.perf_counter() - before
    if is_answered and b'"Username": "<token>"' not in done.stdout:
        raise SystemExit(f"no stored answer: {done.stdout!r} {done.stderr!r}")
    return seconds


if __name__ == "__main__":
    main()
