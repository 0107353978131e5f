"""A real OpenLDAP server for one test run: own database, free port, own certificates."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.authority import Authority
from harness.processes import Daemon, Output, answers, free_port, plain_environment, run
from harness.programs import need

BASE = "dc=example,dc=com"
ADMIN = f"cn=admin,{BASE}"
READER = f"cn=tokenserver,{BASE}"

_MODULES = ("back_mdb", "memberof", "ppolicy")
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
{modules}
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
loglevel stats
sizelimit unlimited
{extra}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}

database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
maxsize 268435456
directory {folder}/data
index objectClass,uid,member,memberUid eq
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
overlay ppolicy
ppolicy_default "cn=policy,{base}"
{policy}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by users read by * none
"""


@dataclass(frozen=True)
class Entry:
    """One entry to add: its DN below the base, its classes, and its other attributes."""

    dn: str
    classes: Sequence[str]
    attributes: Mapping[str, str | bytes | Sequence[str]]

    def ldif(self) -> str:
        """The entry as LDIF, every value in base64, so that nothing in it means anything."""
        lines = [_line("dn", f"{self.dn},{BASE}" if self.dn else BASE)]
        lines += [_line("objectClass", name) for name in self.classes]
        for name, value in self.attributes.items():
            values = [value] if isinstance(value, (str, bytes)) else value
            lines += [_line(name, one) for one in values]
        return "\n".join(lines) + "\n\n"


def person(uid: str, password: str, **more: str | Sequence[str]) -> Entry:
    """An inetOrgPerson in ou=people, with its cn for a name."""
    attributes: dict[str, str | bytes | Sequence[str]] = {
        "uid": uid,
        "sn": uid,
        "mail": "someone@example.com",
        "userPassword": password,
    }
    return Entry(f"cn={_rdn(uid)},ou=people", ["inetOrgPerson"], {"cn": uid, **attributes, **more})


def group(name: str, *members: str) -> Entry:
    """A groupOfNames in ou=groups; the members are DNs below the base."""
    return Entry(f"cn={_rdn(name)},ou=groups", ["groupOfNames"], {"member": [f"{one},{BASE}" for one in members]})


class Slapd:
    """One server. `port` speaks plain LDAP and StartTLS, `tls_port` LDAPS."""

    def __init__(
        self, folder: Path, authority: Authority, *, extra: str = "", policy: str = "", name: str = "localhost"
    ) -> None:
        self.program = need("slapd")
        self.folder = folder
        self.password = base64.b32encode(folder.name.encode()).decode().strip("=") + "x"
        self.reader_password = f"reader-{self.password}"
        self.port, self.tls_port = free_port(), free_port()
        self.ca_file = authority.file
        self._authority = authority
        self._environment = plain_environment(folder) | {"LDAPTLS_CACERT": str(authority.file)}
        (folder / "data").mkdir()
        certificate, key = authority.issue(folder, hosts=[name])
        self.config = folder / "slapd.conf"
        self.config.write_text(
            _CONFIG.format(
                modules="\n".join(f"moduleload {module}" for module in _MODULES),
                folder=folder,
                extra=extra,
                policy=policy,
                certificate=certificate,
                key=key,
                base=BASE,
                admin=ADMIN,
                password=self.password,
                reader=READER,
            )
        )
        self._fill(foundation(self.reader_password))
        self.daemon = self._new_daemon()

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"

    def start(self) -> None:
        """Start it, again after a `stop`."""
        self.daemon.start(lambda: answers(self.port) and answers(self.tls_port))

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()
        self.daemon = self._new_daemon()

    def add(self, *entries: Entry) -> None:
        """Add entries to the running server."""
        output = self._client("ldapadd", "".join(entry.ldif() for entry in entries))
        assert output.ok, str(output)

    def modify(self, ldif: str) -> None:
        """Change entries of the running server."""
        output = self._client("ldapmodify", ldif)
        assert output.ok, str(output)

    def log(self) -> str:
        """What it has logged so far: every connection and operation."""
        return self.daemon.log

    def _client(self, program: str, ldif: str) -> Output:
        command: list[str | Path] = [need(program), "-x", "-H", self.url, "-D", ADMIN, "-w", self.password]
        return run(command, environment=self._environment, folder=self.folder, stdin=ldif)

    def _fill(self, entries: Sequence[Entry]) -> None:
        slapadd = shutil.which("slapadd", path="/usr/sbin") or "slapadd"
        text = "".join(entry.ldif() for entry in entries)
        output = run([slapadd, "-f", self.config], environment=self._environment, folder=self.folder, stdin=text)
        assert output.ok, str(output)

    def _new_daemon(self) -> Daemon:
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        command: list[str | Path] = [self.program, "-d", "stats", "-f", self.config, "-h", urls]
        return Daemon("slapd", command, environment=self._environment, folder=self.folder)


@contextmanager
def slapd(
    folder: Path, authority: Authority, *, extra: str = "", policy: str = "", name: str = "localhost"
) -> Iterator[Slapd]:
    """A running server with the foundation and nobody in it; `extra` and `policy` are lines for it and its ppolicy.

    Its certificate is for `name`.
    """
    server = Slapd(folder, authority, extra=extra, policy=policy, name=name)
    try:
        server.start()
        yield server
    finally:
        server.daemon.stop()


def foundation(reader_password: str) -> list[Entry]:
    """The tree that every server has."""
    return [
        Entry("", ["dcObject", "organization"], {"dc": "example", "o": "Example"}),
        Entry("ou=people", ["organizationalUnit"], {}),
        Entry("ou=groups", ["organizationalUnit"], {}),
        Entry(
            "cn=policy",
            ["device", "pwdPolicy"],
            {"pwdAttribute": "userPassword", "pwdLockout": "TRUE", "pwdMaxFailure": "50"},
        ),
        Entry("cn=tokenserver", ["organizationalRole", "simpleSecurityObject"], {"userPassword": reader_password}),
    ]


def _rdn(text: str) -> str:
    return "".join("\\" + character if character in ',+"\\<>;=#' else character for character in text)


def _line(name: str, value: str | bytes) -> str:
    data = value.encode() if isinstance(value, str) else value
    return f"{name}:: {base64.b64encode(data).decode()}"
