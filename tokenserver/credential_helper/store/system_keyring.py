"""The keyring of the system, by the package `keyring`, if that is installed and finds one.

It is imported only where a secret is kept in it or may be: its import takes longer than all else of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType

SERVICE = "tokenserver"


class SystemKeyring:
    """The secrets of registries in the keyring. `load` imports the package."""

    def __init__(self, load: Callable[[], ModuleType] = lambda: import_module("keyring")) -> None:
        self._load = load

    def read(self, registry: str) -> str:
        """The secret of a registry; empty where there is none, or none can be read."""
        try:
            return self._load().get_password(SERVICE, registry) or ""
        except Exception:
            return ""

    def keep(self, registry: str, secret: str) -> bool:
        """Keep a secret, and see that it is there; False where there is no keyring that keeps it."""
        try:
            keyring = self._load()
            if keyring.get_keyring().priority < 1:  # such as the one that only raises, and those in plain files
                return False
            keyring.set_password(SERVICE, registry, secret)
        except Exception:
            return False
        return _is_same(self.read(registry), secret)

    def forget(self, registry: str) -> None:
        """Delete the secret of a registry, if there is one."""
        with suppress(Exception):  # any backend, with errors of its own; what is not there is deleted
            self._load().delete_password(SERVICE, registry)


def _is_same(found: str, kept: str) -> bool:
    import hmac  # noqa: PLC0415 - for this alone

    return hmac.compare_digest(found.encode(errors="surrogatepass"), kept.encode(errors="surrogatepass"))
