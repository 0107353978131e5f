"""Answers of docker_auth to calls: ours by the model, and those of a running server; and how they are recorded."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.processes import free_port
from peer_cases import HASHES, Call, Case

from tokenserver.errors import LoadError
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.token_call import TokenCall, answer_call
from tokenserver.importers.docker_auth.validation import start_problem

CORPUS = Path(__file__).parents[1] / "corpus" / "docker_auth"

Answer = dict[str, Any]
_HASHED = {hashed: password for password, hashed in HASHES.items()}


def whole_config(case: Case, address: str, folder: str = "/keys") -> str:
    """The text of a configuration file, with what a server needs besides the case."""
    server = {"addr": address, **case.server}
    token = {"issuer": "Acme", "expiration": 900, "certificate": f"{folder}/key.crt", "key": f"{folder}/key.key"}
    return f"{case.config}\nserver: {json.dumps(server)}\ntoken: {json.dumps(token)}\n"


def verify(hashed: str, password: str) -> bool:
    """Whether this is the password of one of the known hashes; no other hash has one."""
    return _HASHED.get(hashed) == password


def our_answers(case: Case) -> list[Answer] | None:
    """What the model says; None if docker_auth does not start."""
    try:
        config = read_docker_auth(whole_config(case, "127.0.0.1:5001"), "auth.yml")
    except LoadError:
        return None
    if start_problem(config) is not None:
        return None
    return [_our_answer(config, call) for call in case.calls]


def _our_answer(config: DockerAuthConfig, call: Call) -> Answer:
    headers = {name.lower(): value for name, value in call.headers.items()}
    token_call = TokenCall("127.0.0.1:40000", call.query, call.method, authorization(call), call.form, headers)
    answer = answer_call(config, token_call, verify)
    if answer.status != 200:
        return {"status": answer.status}
    access = [
        {"type": each.type, "name": _json(each.name), "actions": list(map(_json, each.actions))}
        for each in answer.access
    ]
    return {"status": 200, "sub": _json(answer.subject), "aud": _json(answer.audience), "access": access}


def _json(text: str) -> str:
    """The text as Go writes it into JSON."""
    return "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in text)


def authorization(call: Call) -> str | None:
    """The header of a call."""
    if call.user is None:
        return call.authorization
    return "Basic " + base64.b64encode(f"{call.user}:{call.password}".encode()).decode("ascii")


def as_json(case: Case, answers: list[Answer] | None) -> str:
    """One line of a recording."""
    return json.dumps({"case": asdict(case), "answers": answers}, ensure_ascii=False)


def recorded(name: str) -> list[tuple[Case, list[Answer] | None]]:
    """The cases of a recording, with the answers of the server."""
    found = []
    for line in (CORPUS / f"{name}.jsonl").read_text("utf-8").splitlines():
        content = json.loads(line)
        calls = tuple(Call(**call) for call in content["case"].pop("calls"))
        found.append((Case(**content["case"], calls=calls), content["answers"]))
    return found


@contextmanager
def key_folder() -> Iterator[str]:
    """A folder with the key and certificate of a server's tokens."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
        files = ["-keyout", f"{folder}/key.key", "-out", f"{folder}/key.crt"]
        subprocess.run([*command, *files], check=True, capture_output=True)
        yield folder


def real_answers(program: str, case: Case, folder: str) -> list[Answer] | None:
    """What a running server says, on loopback; None if it does not start."""
    port = free_port()
    file = Path(folder) / "auth.yml"
    file.write_text(whole_config(case, f"127.0.0.1:{port}", folder), "utf-8")
    process = subprocess.Popen([program, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return [_real_answer(port, call) for call in case.calls] if _is_up(process, port) else None
    finally:
        process.kill()
        process.wait(timeout=10)


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.005)
    return False


def _real_answer(port: int, call: Call) -> Answer:
    headers = dict(call.headers)
    header = authorization(call)
    if header is not None:
        headers["Authorization"] = header
    if call.form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.request(call.method, f"/auth?{call.query}", call.form or None, headers)
            response = connection.getresponse()
            body = response.read()
        except (http.client.HTTPException, ConnectionError):
            return {"status": 0}
    if response.status != 200:
        return {"status": response.status}
    payload = json.loads(body)["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {"status": 200, "sub": claims["sub"], "aud": claims["aud"], "access": claims["access"]}
