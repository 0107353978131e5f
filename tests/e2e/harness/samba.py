"""A real Active Directory domain controller for one test run: Samba, of which only the LDAP service is started.

Its ports are fixed (389 and 636), so every controller listens on a loopback address of its own.
"""

from __future__ import annotations

import base64
import random
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.authority import Authority
from harness.processes import Daemon, plain_environment, run
from harness.programs import need, need_root

REALM = "corp.example.com"
BASE = "DC=corp,DC=example,DC=com"
PEOPLE = f"CN=Users,{BASE}"
READER = f"CN=tokenserver,{PEOPLE}"

NORMAL, DISABLED = 0x200, 0x202
"""userAccountControl of an account in force, and of a disabled one ([MS-ADTS] 2.2.16)."""

PORTS = (389, 636, 3268, 3269)

_CONFIG = """\
[global]
realm = {realm}
workgroup = CORP
netbios name = DC1
server role = active directory domain controller
server services = ldap
private dir = {folder}/dc/private
state directory = {folder}/dc/state
cache directory = {folder}/dc/cache
lock directory = {folder}/dc
pid directory = {folder}/dc
ncalrpc dir = {folder}/dc/rpc
ntp signd socket directory = {folder}/dc/ntp
winbindd socket directory = {folder}/dc/wb
log file = {folder}/samba.log
bind interfaces only = yes
interfaces = {address}/8
ldap server require strong auth = yes
tls enabled = yes
tls cafile = {ca_file}
tls certfile = {certificate}
tls keyfile = {key}
"""


class Samba:
    """One domain controller. `address` is a loopback address that nobody else uses."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.program = need("samba")
        need_root("samba")
        self.folder = folder
        self.ca_file = authority.file
        self.address = _free_address()
        self.password, self.reader_password = (f"Aa1-{secrets.token_urlsafe(12)}" for _ in range(2))
        self._environment = plain_environment(folder) | {"LDAPTLS_CACERT": str(authority.file)}
        self._provision()
        certificate, key = authority.issue(folder, address=self.address)
        self.config = folder / "smb.conf"
        self.config.write_text(
            _CONFIG.format(
                realm=REALM.upper(),
                folder=folder,
                address=self.address,
                ca_file=authority.file,
                certificate=certificate,
                key=key,
            )
        )
        command: list[str | Path] = [self.program, "-i", "-M", "single", "-s", self.config, "--debug-stdout"]
        self.daemon = Daemon("samba", command, environment=self._environment, folder=folder)

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{self.address}"

    def is_up(self) -> bool:
        """Whether both ports take connections."""
        return all(_answers(self.address, port) for port in PORTS[:2])

    def add_user(self, name: str, password: str, **more: str | int | Sequence[str]) -> str:
        """Add an account to CN=Users and give its DN; attributes may be given, such as `userAccountControl`."""
        attributes: dict[str, str | int | bytes | Sequence[str]] = {
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@{REALM}",
            # [MS-ADTS] 3.1.1.3.1.5.1: the password in quotes, as UTF-16.
            "unicodePwd": f'"{password}"'.encode("utf-16-le"),
            "userAccountControl": NORMAL,
            **more,
        }
        return self._add(f"CN={name},{PEOPLE}", "user", attributes)

    def add_group(self, name: str, *members: str, account: str | None = None) -> str:
        """Add a group with these DNs for members, and give its DN. `name` is as it stands in a DN."""
        return self._add(f"CN={name},{PEOPLE}", "group", {"sAMAccountName": account or name, "member": members})

    def primary_group_token(self, name: str) -> str:
        """What primaryGroupID is in an account whose primary group this is."""
        found = self._client("ldapsearch", "", "-LLL", "-b", f"CN={name},{PEOPLE}", "-s", "base", "primaryGroupToken")
        return found.rpartition("primaryGroupToken: ")[2].strip()

    def modify(self, dn: str, change: str) -> None:
        """Change an entry: `replace: accountExpires\\naccountExpires: 1`."""
        self._client("ldapmodify", f"dn: {dn}\nchangetype: modify\n{change}\n")

    def set_password(self, dn: str, password: str) -> None:
        """Give an account another password, as an administrator does."""
        value = _base64(f'"{password}"'.encode("utf-16-le"))
        self.modify(dn, f"replace: unicodePwd\nunicodePwd:: {value}")

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        self._client("ldapmodify", f"dn: {dn}\nchangetype: delete\n")

    def _add(self, dn: str, kind: str, attributes: Mapping[str, str | int | bytes | Sequence[str]]) -> str:
        lines = [f"dn:: {_base64(dn)}", f"objectClass: {kind}"]
        for name, value in attributes.items():
            values = [value] if isinstance(value, (str, int, bytes)) else value
            lines += [f"{name}:: {_base64(one)}" for one in values]
        self._client("ldapadd", "\n".join(lines) + "\n")
        return dn

    def _client(self, program: str, ldif: str, *arguments: str) -> str:
        administrator = f"Administrator@{REALM}"
        command: list[str | Path] = [need(program), "-x", "-H", self.tls_url, "-D", administrator, "-w", self.password]
        output = run([*command, *arguments], environment=self._environment, folder=self.folder, stdin=ldif)
        assert output.ok, str(output)
        return output.stdout

    def _provision(self) -> None:
        command: list[str | Path] = [
            need("samba-tool"),
            *("domain", "provision", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--domain=CORP"),
            *(f"--realm={REALM.upper()}", f"--adminpass={self.password}", f"--targetdir={self.folder}/dc"),
        ]
        (self.folder / "tmp").mkdir(exist_ok=True)
        output = run(command, environment=self._environment, folder=self.folder, seconds=180)
        assert output.ok, str(output)
        (self.folder / "dc" / "cache").mkdir(exist_ok=True)


@contextmanager
def samba(folder: Path, authority: Authority) -> Iterator[Samba]:
    """A running controller with a service account and nobody else. The path of `folder` must be short: sockets."""
    controller = Samba(folder, authority)
    try:
        controller.daemon.start(controller.is_up)
        controller.add_user("tokenserver", controller.reader_password)
        yield controller
    finally:
        controller.daemon.stop()


def _free_address() -> str:
    for _ in range(100):
        address = f"127.{random.randint(64, 127)}.{random.randint(1, 254)}.{random.randint(1, 254)}"  # noqa: S311 - no secret
        if not any(_answers(address, port) for port in PORTS):
            return address
    raise AssertionError("no loopback address is free")


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def _base64(value: str | int | bytes) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else str(value).encode()).decode()
