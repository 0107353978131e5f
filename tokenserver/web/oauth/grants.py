"""Grants: the credentials in the form of a POST, and what is asked for beside a token. No framework, no I/O."""

from __future__ import annotations

from tokenserver.authn.classification import may_be_jwt
from tokenserver.credentials import Credentials, MalformedCredentials, NoCredentials, Password, RefreshToken, Secret
from tokenserver.errors import InvalidCredentials, InvalidRequest, UnsupportedGrantType
from tokenserver.exchange.service import GrantPurpose
from tokenserver.web.authorization_header import normalize_username
from tokenserver.web.parameters import Parameters

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
"""The grant of a device, which has no credentials yet; see `web/oauth/device.py`."""

_TYPE = "urn:ietf:params:oauth:token-type:"
ACCESS_TOKEN, REFRESH_TOKEN = f"{_TYPE}access_token", f"{_TYPE}refresh_token"
"""Types of tokens that can be asked for in exchange (RFC 8693, section 3)."""

_SUBJECT_TYPES = (f"{_TYPE}jwt", f"{_TYPE}id_token")

_TWO_CREDENTIALS = "the header and the form have different credentials"
_ANSWERS = {"true": True, "1": True, "false": False, "0": False}


def granted_by(form: Parameters, header: Credentials) -> tuple[Credentials, GrantPurpose]:
    """The credentials of a POST, and what they are for (RFC 6749, sections 4.3.2 and 6; RFC 8693, section 2.1).

    Raises:
        InvalidRequest, UnsupportedGrantType: parameters are missing, or ask for something else.
    """
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise InvalidRequest("grant_type: is missing")
    if "client_secret" in form.single:
        raise InvalidRequest("client_secret: clients have no secrets here; fix: leave it out")
    if grant_type == "password":
        return _password(form, header), GrantPurpose.USUAL
    if grant_type == "refresh_token":
        secret = form.secret
        return _alone(Secret(_needed(form, "refresh_token")) if secret is None else secret, header), GrantPurpose.USUAL
    if grant_type == TOKEN_EXCHANGE:
        return _exchanged(form, header)
    supported = "password, refresh_token, token-exchange and device_code"
    raise UnsupportedGrantType(f"this grant_type is not supported; supported are {supported}")


def is_offline(parameters: Parameters, grant: GrantPurpose, *, is_query: bool) -> bool:
    """Whether the client asks for a refresh token or session: `offline_token=true` in a query, else
    `access_type=offline` (Distribution: "Token Authentication Specification", "Oauth2 Token Authentication").

    Raises:
        InvalidRequest: `offline_token` is neither true nor false.
    """
    if grant is not GrantPurpose.USUAL:
        return grant is GrantPurpose.SESSION
    if not is_query:
        return parameters.get("access_type") == "offline"
    value = parameters.get("offline_token")
    if value is None:
        return False
    if value not in _ANSWERS:
        raise InvalidRequest("offline_token: must be true or false")
    return _ANSWERS[value]


def _password(form: Parameters, header: Credentials) -> Credentials:
    typed, secret = form.single.get("username"), form.secret
    if secret is None:
        password = form.single.get("password")
        secret = None if password is None else Secret(password)
    if typed is None or secret is None:
        raise InvalidRequest(f"{'username' if typed is None else 'password'}: is missing")
    if isinstance(header, MalformedCredentials):
        return header
    try:
        username = normalize_username(typed)
    except InvalidCredentials as error:
        return MalformedCredentials(error.reason)
    credentials = Password(username, secret)
    if not isinstance(header, NoCredentials) and header != credentials:
        return MalformedCredentials(_TWO_CREDENTIALS)
    return credentials


def _exchanged(form: Parameters, header: Credentials) -> tuple[Credentials, GrantPurpose]:
    token = _needed(form, "subject_token")
    if _needed(form, "subject_token_type") not in _SUBJECT_TYPES:
        raise InvalidRequest(f"subject_token_type: must be {' or '.join(_SUBJECT_TYPES)}")
    if "actor_token" in form.single:
        raise InvalidRequest("actor_token: nobody acts for somebody else here; fix: leave it out")
    # Only a JWT: what is exchanged for a session must not be a session or an access key itself.
    if not may_be_jwt(token):
        raise InvalidRequest("subject_token: is no JWT, or too long")
    wanted = form.get("requested_token_type") or ACCESS_TOKEN
    if wanted not in (ACCESS_TOKEN, REFRESH_TOKEN):
        raise InvalidRequest(f"requested_token_type: must be {ACCESS_TOKEN} or {REFRESH_TOKEN}")
    return _alone(Secret(token), header), GrantPurpose.SESSION if wanted == REFRESH_TOKEN else GrantPurpose.EXCHANGE


def _alone(token: Secret, header: Credentials) -> Credentials:
    """A token as the only credentials of a request."""
    if isinstance(header, NoCredentials):
        return RefreshToken(token)
    return header if isinstance(header, MalformedCredentials) else MalformedCredentials(_TWO_CREDENTIALS)


def _needed(form: Parameters, name: str) -> str:
    value = form.get(name)
    if value is None:
        raise InvalidRequest(f"{name}: is missing")
    return value
