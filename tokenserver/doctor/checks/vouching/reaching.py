"""What to do about a server that vouches for clients and cannot be reached. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tokenserver.runtime.http.response import FailureReason


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A server as `config` names it for `source`. `whose` is what it is called, `setting` the key and its place."""

    whose: str
    source: str
    config: str
    setting: str
    ca_file: str | None

    def fix(self, url: str, failure: FailureReason) -> str:
        """What to do so that `url` answers."""
        host = urlsplit(url).netloc
        match failure:
            case FailureReason.NAME:
                return f"correct {self.setting}, or the DNS of this machine"
            case FailureReason.REFUSED:
                return f"start the {self.whose} at {host}, or correct {self.setting}"
            case FailureReason.CERTIFICATE if self.ca_file is not None:
                return f"put the CA that issued the certificate of {host} into {self.ca_file}, or renew the certificate"
            case FailureReason.CERTIFICATE:
                setting = f"ca_file: FILE for {self.source} in {self.config}"
                return f"set {setting} to the CA of {host}, or renew its certificate"
            case FailureReason.PLAIN | FailureReason.TLS:
                return f"configure TLS at {host}, or correct {self.setting}"
            case _:
                return f"let this machine reach {host} directly; no proxy is used"
