"""Random requests to random rules of docker_auth, decided by the model and by `go-readings`."""

from __future__ import annotations

import random
from typing import Any

from random_peer_cases import random_rules

from tokenserver.importers.docker_auth.evaluator import authorize
from tokenserver.importers.docker_auth.model import PeerRequest
from tokenserver.importers.docker_auth.reader import read_docker_auth

FIELDS = ("account", "type", "name", "service")


def decisions(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Questions: rules and a request, whose answer is the deciding entry and what it grants."""
    found = []
    for _ in range(count):
        text, requests = random_rules(rng, 5)
        found += [{"ask": "decide", "subject": text, "request": request} for request in requests]
    return found


def our_decision(question: dict[str, Any]) -> dict[str, Any]:
    """What the model says; the entry is -1 if there is none."""
    config = read_docker_auth(question["subject"], "auth.yml")
    asked = question["request"]
    fields = dict(zip(FIELDS, asked["fields"], strict=True))
    labels = {label: tuple(values) for label, values in asked["labels"].items()}
    answer = authorize(config, PeerRequest(**fields, actions=tuple(asked["actions"]), ip=asked["ip"]), labels)
    entries = list(config.acl or ())
    index = next((at for at, entry in enumerate(entries) if entry is answer.entry), -1)
    return {"entry": index, "granted": list(answer.granted)}
