"""`python -m bench.storm`: a thousand concurrent logins, of one user and of a thousand, with a health check.

Every client retries as `Retry-After` says until it is logged in. The server has handled as many connections once
before. The yardsticks, measured just before, are the passwords of cost 10 that this machine checks a second with all
its cores, and the latency of the same clients if nginx rejects all of them: they share the cores with the server.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import e2e
from tokenserver.authn.passwords import hash_password, verify


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(prog="bench.storm", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="how long clients go on trying")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    e2e.use("nginx")
    from harness.crowd import many_files, rate_of  # noqa: PLC0415 - importable from here on

    secret = secrets.token_urlsafe(12)
    hashed = hash_password(secret)
    with many_files():
        rate = rate_of(lambda: verify(secret, hashed))
        away = sent_away_by_nginx(arguments.clients)
        print(f"yardsticks: {rate:.1f} passwords of cost 10 a second; 503 p99 of nginx {away:.0f} ms")
        found = {
            "one user": run(["ann"] * arguments.clients, secret, hashed, arguments),
            "as many users": run([f"user-{n}" for n in range(arguments.clients)], secret, hashed, arguments),
        }
    print(
        f"{'concurrent clients: ' + str(arguments.clients):24} {'in':>6} {'503':>6} {'all in':>9} {'of hashing':>11}",
        end="",
    )
    print(f" {'longest answer':>15} {'503 p99':>9} {'/healthz p99':>13}")
    for name, figures in found.items():
        hashes = 1 if name == "one user" else arguments.clients
        share = figures["seconds"] / (hashes / rate)
        figures["of_hashing"] = share
        print(
            f"{name:24} {figures['in']:6} {figures['shed']:6} {figures['seconds']:7.1f} s {share:11.2f}"
            f" {figures['longest_s']:13.2f} s {figures['shed_p99_ms']:6.0f} ms {figures['health_p99_ms']:10.0f} ms"
        )
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps({"hashes_a_second": rate, "nginx_503_p99_ms": away, **found}, indent=2) + "\n"
        )


def sent_away_by_nginx(clients: int) -> float:
    """The 99th percentile in milliseconds for concurrent clients to get a 503 from nginx."""
    from harness.crowd import percentile, rush  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.proxy import nginx  # noqa: PLC0415

    away = "location / { add_header Retry-After 60 always; return 503; }"
    with tempfile.TemporaryDirectory() as folder, nginx(Path(folder), away) as server:
        return percentile(rush(server.port, "/", clients, 1).shed, 0.99) * 1000


def run(users: list[str], secret: str, hashed: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One burst of logins against a separate server."""
    from harness.crowd import percentile, rush, serving_users, storm  # noqa: PLC0415 - importable once `e2e.use` ran

    lines = "".join(f"{user}:{hashed}\n" for user in dict.fromkeys(users))
    with tempfile.TemporaryDirectory() as folder, serving_users(Path(folder), lines, arguments.workers) as server:
        rush(server.port, "/healthz", arguments.clients, 10)
        time.sleep(1)
        begin = time.monotonic()
        done, logins, health = storm(server.port, users, secret, arguments.seconds)
        seconds = time.monotonic() - begin
    return {
        "in": sum(done),
        "shed": logins.statuses[503],
        "others": logins.statuses.total() - logins.statuses[200] - logins.statuses[503],
        "seconds": seconds,
        "longest_s": max(logins.seconds),
        "shed_p99_ms": percentile(logins.shed, 0.99) * 1000,
        "health_p99_ms": health.percentile(0.99) * 1000,
    }


if __name__ == "__main__":
    main()
