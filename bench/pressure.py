"""`python -m bench.pressure`: overload at twice the signing capacity, and 500 deliberately slow clients.

The yardstick of the first table is the closed-loop signing rate of the same server (wrk, 32 connections), measured just
before. Then requests arrive in an open loop: at half, twice and half of that rate; on keep-alive connections, and with
a new one for each. A health check runs concurrently. Every token is signed with RSA and none is reused, so that one
worker is slower than a load generator in Python; `lag` is the delay of that generator, and is part of all times. The
second table is normal clients next to slow ones, standalone and behind nginx with deploy/nginx.conf.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import e2e
from bench.load import Work, drive, new_connections
from bench.scale import port_of
from bench.servers import PATH, tokenserver

FACTORS = {"half of it": 0.5, "twice as much": 2.0, "half of it again": 0.5}


def main() -> None:
    """Run both tables and print them."""
    parser = argparse.ArgumentParser(prog="bench.pressure", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="length of each part of the overload")
    parser.add_argument("--slow-seconds", type=float, default=20, help="how long good clients ask beside slow ones")
    parser.add_argument("--only", choices=["overload", "slow"])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    e2e.use("nginx")
    from harness.crowd import many_files  # noqa: PLC0415 - importable from here on

    figures: dict[str, Any] = {}
    tables: dict[str, Callable[[argparse.Namespace], Any]] = {"overload": overload, "slow": slow}
    with many_files():
        for name, table in tables.items():
            if arguments.only in (None, name):
                figures[name] = table(arguments)
                print()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def overload(arguments: argparse.Namespace) -> dict[str, Any]:
    """Half, twice and half of the signing capacity, in one run without a pause."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(
            tokenserver(folder / "server", workers=1, algorithm="RS256", more="token_reuse: 0s")
        )
        for title, is_new in (("kept connections", False), ("a new connection each", True)):
            work = new_connections() if is_new else Work(connections=32)
            rate = drive(server.url, work, 4).rate
            print(f"{title}: {rate:,.0f} a second can be signed")
            found[title] = {"sustainable": rate, "parts": under(port_of(server), rate, is_new, arguments.seconds)}
    return found


def under(port: int, rate: float, is_new: bool, length: float) -> dict[str, Any]:
    """The responses of each phase, and the time to recover."""
    from harness.arrivals import NO_ANSWER, Stream, arrive, get, steady, within  # noqa: PLC0415 - once `e2e.use` ran

    factors = list(FACTORS.values())
    headers = ["Connection: close"] if is_new else []
    tokens = Stream(get(PATH, *headers), lambda t: rate * factors[min(int(t / length), len(factors) - 1)], is_new)
    health = Stream(get("/healthz", "Connection: close"), steady(20), is_new_each_time=True)
    arrive(port, [tokens, health], length * len(factors))
    parts: dict[str, Any] = {}
    print(
        f"  {'asked':18} {'a second':>9} {'200':>7} {'503':>7} {'none':>6}"
        f" {'200 p50':>9} {'p99':>9} {'longest':>9} {'503 p99':>9} {'/healthz p99':>13} {'lag p99':>8}"
    )
    for number, name in enumerate(FACTORS):
        since, until = number * length, (number + 1) * length
        given, shed = ([one.seconds for one in tokens.of(status, since, until)] for status in (200, 503))
        lags = [one.lag for one in tokens.answers if since <= one.due < until]
        checks = [one for one in health.answers if since <= one.due < until]
        parts[name] = {
            "asked": rate * factors[number],
            "given": len(given) / length,
            "shed": len(shed) / length,
            "unanswered": len(tokens.of(NO_ANSWER, since, until)),
            "given_p50_ms": within(given, 0.5) * 1000,
            "given_p99_ms": within(given, 0.99) * 1000,
            "given_longest_ms": max(given, default=0) * 1000,
            "shed_p99_ms": within(shed, 0.99) * 1000,
            "health_p99_ms": within([one.seconds for one in checks], 0.99) * 1000,
            "health_failures": sum(one.status != 200 for one in checks),
            "lag_p99_ms": within(lags, 0.99) * 1000,
        }
        one = parts[name]
        print(
            f"  {name:18} {one['asked']:9,.0f} {one['given']:7,.0f} {one['shed']:7,.0f} {one['unanswered']:6}"
            f" {one['given_p50_ms']:6.0f} ms {one['given_p99_ms']:6.0f} ms {one['given_longest_ms']:6.0f} ms"
            f" {one['shed_p99_ms']:6.0f} ms {one['health_p99_ms']:10.0f} ms {one['lag_p99_ms']:5.0f} ms"
        )
    end = 2 * length
    last = max((one.due + one.seconds for one in tokens.of(503)), default=end)
    parts["recovery_s"] = max(0.0, last - end)
    print(f"  the last 503 was given {parts['recovery_s']:.2f} s after the overload had ended")
    return parts


def slow(arguments: argparse.Namespace) -> dict[str, Any]:
    """Normal clients next to slow ones of each kind."""
    from harness.proxy import shipped_nginx  # noqa: PLC0415 - importable once `e2e.use` ran
    from harness.slow import PROMPT, SLOW_CLIENTS, good_traffic, slow_clients, slow_kinds  # noqa: PLC0415 - likewise

    found: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(tokenserver(folder / "server", workers=2))
        (folder / "nginx").mkdir()
        proxy = stack.enter_context(shipped_nginx(folder / "nginx", [port_of(server)]))
        print(f"{SLOW_CLIENTS} slow clients: {'':14} {'requests':>9} {'good':>9} {'p50':>9} {'p99':>9}")
        for place, port in (("standalone", port_of(server)), ("behind nginx", proxy.port)):
            for kind, beginning in {"none": None, **slow_kinds(PATH)}.items():
                with ExitStack() as crowd:
                    if beginning is not None:
                        crowd.enter_context(slow_clients(port, beginning))
                    answers = good_traffic(port, PATH, seconds=arguments.slow_seconds)
                times = sorted(taken for _, taken in answers)
                good = sum(status == 200 and taken < PROMPT for status, taken in answers) / len(answers)
                p50, p99 = (times[int(len(times) * part)] * 1000 for part in (0.5, 0.99))
                found[f"{place}, {kind}"] = {"requests": len(answers), "good": good, "p50_ms": p50, "p99_ms": p99}
                print(f"{place:16} {kind:19} {len(answers):9} {good:9.2%} {p50:6.1f} ms {p99:6.1f} ms")
    return found


if __name__ == "__main__":
    main()
