"""The entry of `docker-credential-tokenserver`: the commands of clients, and the shortest way to a stored answer."""

from __future__ import annotations

import sys
import time

from tokenserver.credential_helper.environment import config_folder
from tokenserver.credential_helper.protocol import (
    IDENTITY_TOKEN,
    MAX_INPUT,
    NOT_FOUND,
    TOKEN_USER,
    RejectedRequest,
    answer,
    keep_request,
    listing,
    registry_of,
    server_in,
)
from tokenserver.credential_helper.settings import FILE, HelperSettings, RejectedSettings, read_settings
from tokenserver.credential_helper.store.credential_file import CredentialFile, RefusedStore

TYPE_CHECKING = False
if TYPE_CHECKING:  # an answer out of the store needs none of what this imports
    from tokenserver.credential_helper.outside import Outside

USAGE = (
    "usage: docker-credential-tokenserver get | store | erase | list | version\n"
    "       docker-credential-tokenserver login [REGISTRY…] [--service NAME…] | status | logout [REGISTRY…]\n"
)


def run() -> None:
    """Run the command of this process and exit."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command; gives its exit code. Errors of clients' commands are on standard output, as they expect."""
    word = arguments[0] if arguments else ""
    try:
        if word in _FOR_CLIENTS:
            output = _FOR_CLIENTS[word](arguments[1:])
            return 0 if _is_written(NOT_FOUND if output is None else output) and output is not None else 1
        if word in ("login", "status", "logout", "--help", "-h"):
            from tokenserver.credential_helper.people import for_people  # noqa: PLC0415 - not for answers

            return for_people(arguments, _outside)
    except (RejectedRequest, RefusedStore, RejectedSettings) as error:
        from tokenserver.printable import cut, one_line  # noqa: PLC0415 - as above

        stream = sys.stdout if word in _FOR_CLIENTS else sys.stderr
        stream.write(f"{cut(one_line(str(error)), 1000)}\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write(NOT_FOUND if word in _FOR_CLIENTS else "")
        return 1
    sys.stderr.write(USAGE)
    return 2


def _get(arguments: list[str]) -> str | None:
    server = server_in(_input())
    registry = registry_of(server)
    file = CredentialFile(config_folder())
    settings = _settings(file)
    login = file.read().get(registry)
    if login is not None and login.in_keyring:
        from tokenserver.credential_helper.store.system_keyring import SystemKeyring  # noqa: PLC0415 - as above

        login.secret = SystemKeyring().read(registry)
    if login is not None and login.is_ready(time.time()):
        username, secret = login.username, login.secret
    else:
        from tokenserver.credential_helper.obtaining import obtain  # noqa: PLC0415 - as above

        credential = obtain(server, registry, login, _outside(registry))
        if credential is None:
            return None
        username, secret = credential
    if username == IDENTITY_TOKEN and (settings.as_password or "--as-password" in arguments):
        username = TOKEN_USER
    return answer(server, username, secret)


def _store(_: list[str]) -> str:
    from tokenserver.credential_helper.keeping import keep  # noqa: PLC0415 - as above

    request = keep_request(_input())
    keep(request, _outside(request.registry))
    return ""


def _erase(_: list[str]) -> str:
    from tokenserver.credential_helper.keeping import erase  # noqa: PLC0415 - as above

    registry = registry_of(server_in(_input()))
    erase(registry, _outside(registry))
    return ""


def _list(_: list[str]) -> str:
    logins, now = CredentialFile(config_folder()).read().values(), time.time()
    # Docker asks for each that is listed, and a login that has ended would ask a person.
    return listing({login.server: login.username for login in logins if login.has_secret and not login.is_ended(now)})


def _version(_: list[str]) -> str:
    from tokenserver import __version__  # noqa: PLC0415 - as above

    return f"docker-credential-tokenserver v{__version__}\n"


_FOR_CLIENTS = {"get": _get, "store": _store, "erase": _erase, "list": _list, "version": _version}


def _is_written(output: str) -> bool:
    """Write the output of a client's command; False where the client is gone, or the disk is full."""
    try:
        sys.stdout.write(output)
        sys.stdout.flush()
    except OSError:
        sys.stdout = None  # so that the interpreter does not try again when it ends
        return False
    return True


def _input() -> bytes:
    return sys.stdin.buffer.read(MAX_INPUT + 1)


def _settings(file: CredentialFile) -> HelperSettings:
    content = file.read_settings(FILE)
    if content is None:
        return HelperSettings()
    try:
        return read_settings(content)
    except RejectedSettings as error:
        raise RejectedSettings(f"{file.folder}/{FILE} {error}") from None


def _outside(*registries: str) -> Outside:
    from tokenserver.credential_helper.outside import outside  # noqa: PLC0415 - as above

    file = CredentialFile(config_folder())
    return outside(file, _settings(file), *registries)
