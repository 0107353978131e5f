"""A machine of its own for a client: a private home, and for root private system folders too, all in one folder.

Clients that run as root keep caches, locks and mounts in system folders. In a mount namespace those folders are
ours, and every mount ends with the client's last process, so a run leaves nothing behind.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.processes import Output, plain_environment, run
from harness.programs import need

PRIVATE = ("/var/lib", "/run", "/var/tmp", "/etc/docker", "/etc/cni/net.d")  # noqa: S108 - to hide, not to write to
"""The system's folders in which programs that run as root write."""

_ENTER = 'for name in {names}; do mount --bind "$HOME/system$name" "$name" || exit 1; done; exec "$@"'


class Machine:
    """Runs commands with `folder` for a home. `environment` may be added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = plain_environment(folder)
        self.docker_config = folder / ".docker" / "config.json"
        self.auth_file = folder / "auth.json"
        self.environment |= {
            "DOCKER_CONFIG": str(self.docker_config.parent),
            "REGISTRY_AUTH_FILE": str(self.auth_file),
            # Nothing listens there: the docker command has to do without an engine.
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        }
        self._hidden = [name for name in PRIVATE if Path(name).is_dir()]
        for path in ("tmp", "run", ".docker", ".config/containers", *(f"system{name}" for name in self._hidden)):
            (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / "run").chmod(0o700)
        self.auth_file.write_text("{}")
        # Debian's package brings both files, but also a machine without them should behave the same.
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        (folder / ".config/containers/policy.json").write_text(json.dumps(policy))
        self._registries = folder / ".config/containers/registries.conf"
        self._registries.write_text("unqualified-search-registries = []\n")
        self.environment["CONTAINERS_REGISTRIES_CONF"] = str(self._registries)

    def enter(self, command: Sequence[str | Path]) -> list[str]:
        """The command line that runs `command` on this machine."""
        words = [str(word) for word in command]
        if os.geteuid() != 0:
            return words
        script = _ENTER.format(names=" ".join(self._hidden))
        return [str(need("unshare")), "--mount", "--propagation", "private", "sh", "-c", script, "sh", *words]

    def run(self, *command: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None) -> Output:
        """Run a command to its end."""
        return run(
            self.enter(command),
            environment={**self.environment, **(environment or {})},
            folder=self.folder,
            stdin=stdin,
        )

    def sign_in(self, host: str, user: str, password: str) -> None:
        """Put credentials where clients look for them, as their login commands would."""
        self._keep(host, {"auth": _basic(user, password)})

    def keep_token(self, host: str, user: str, token: str) -> None:
        """Put an identity token there, as `docker login` did at a token server that gives refresh tokens."""
        self._keep(host, {"auth": _basic(user, ""), "identitytoken": token})

    def _keep(self, host: str, entry: Mapping[str, str]) -> None:
        text = json.dumps({"auths": {host: entry}})
        for path in (self.docker_config, self.auth_file):
            path.write_text(text)
            path.chmod(0o600)

    def sign_out(self) -> None:
        """Forget all credentials, those of the credential helper too."""
        self.docker_config.unlink(missing_ok=True)
        self.auth_file.write_text("{}")
        shutil.rmtree(self.folder / ".config" / "tokenserver", ignore_errors=True)

    def user(self, host: str) -> tuple[str, str] | None:
        """The user and the password that lie ready for this registry."""
        auth = self.stored().get(host, {}).get("auth")
        if not auth:
            return None
        user, _, password = base64.b64decode(auth).decode().partition(":")
        return user, password

    def stored(self) -> dict[str, dict[str, str]]:
        """The credentials that a login left, by registry."""
        found: dict[str, dict[str, str]] = {}
        for path in (self.docker_config, self.auth_file):
            if path.exists():
                found |= json.loads(path.read_text()).get("auths") or {}
        return found


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
