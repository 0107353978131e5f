"""Access keys: the text form, its checksum, and the declaration of a secret by its hash."""

from __future__ import annotations

import hashlib
import re
import zlib
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import (
    KEY_PATTERN,
    RANDOM_BYTES,
    AccessKey,
    DeclaredSecret,
    InspectedKey,
    InvalidDeclaration,
    MalformedAccessKey,
    compose_key,
    declare,
    digest_of,
    hash_line,
    holds_key,
    inspect_key,
    is_marked,
    parse_hash_line,
    parse_key,
    parse_key_id,
    spell_declaration,
)
from tokenserver.credentials import AccessKeyForm, Secret

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SAMPLE = bytes(range(RANDOM_BYTES))
END = datetime(2027, 3, 1, tzinfo=UTC)

forms = st.sampled_from(AccessKeyForm)
randoms = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def text_of(form: AccessKeyForm = AccessKeyForm.ROBOT, random: bytes = SAMPLE) -> str:
    """The text of a composed key."""
    return compose_key(form, random).text.reveal()


def number(text: str) -> int:
    """The number that digits of base 62 stand for, computed independently of the module."""
    return sum(DIGITS.index(digit) * 62**place for place, digit in enumerate(reversed(text)))


def with_checksum(text: str) -> str:
    """The text with its checksum, computed independently of the module."""
    crc, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        crc, digit = divmod(crc, 62)
        digits = DIGITS[digit] + digits
    return text + digits


@given(forms, randoms)
def test_a_key_has_66_characters_and_all_of_its_randomness(form: AccessKeyForm, random: bytes) -> None:
    """`tkn`, form, `_`, id (12), the 32 bytes (43) and the CRC32 of everything before it (6)."""
    text = text_of(form, random)
    assert (len(text), text[:5]) == (66, f"tkn{form.value}_")
    assert number(text[17:60]).to_bytes(32, "big") == random[16:]
    assert number(text[60:]) == zlib.crc32(text[:60].encode())
    assert re.fullmatch(KEY_PATTERN, text) is not None


@given(forms, randoms)
def test_what_was_composed_is_parsed(form: AccessKeyForm, random: bytes) -> None:
    """A key is the same after its way through text."""
    key = compose_key(form, random)
    assert parse_key(key.text.reveal()) == key == AccessKey(form, key.text.reveal()[5:17], key.text)


@given(forms, randoms, st.integers(0, 65), st.sampled_from(DIGITS + "_- "))
def test_no_mistyped_character_passes(form: AccessKeyForm, random: bytes, place: int, typed: str) -> None:
    """A CRC finds each change of a single character, and the form does not survive one either."""
    text = text_of(form, random)
    changed = text[:place] + typed + text[place + 1 :]
    if changed != text:
        with pytest.raises(MalformedAccessKey):
            parse_key(changed)


@given(st.text() | st.from_regex(r"\Atkn[a-z]_[0-9A-Za-z]{55,65}\Z", fullmatch=True))
def test_any_other_text_is_malformed(text: str) -> None:
    """Nothing that was not composed is a key, and the error does not repeat it."""
    with pytest.raises(MalformedAccessKey, match=r"\Amalformed access key\Z"):
        parse_key(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(text_of()[:-1], id="cut"),
        pytest.param(text_of() + "0", id="longer"),
        pytest.param(text_of() + "\n", id="newline"),
        pytest.param(" " + text_of(), id="blank-before"),
        pytest.param(text_of().upper(), id="upper-case"),
        pytest.param(with_checksum(text_of()[:4] + "-" + text_of()[5:60]), id="another-separator"),
        pytest.param(with_checksum("tknx_" + text_of()[5:60]), id="unknown-form"),
        pytest.param("tknp_" + text_of()[5:], id="form-changed"),
        pytest.param(text_of()[:60] + "000000", id="checksum"),
        pytest.param(with_checksum(text_of()[:59] + "é"), id="not-ascii"),
        pytest.param(text_of()[:59] + "\udcff" + text_of()[60:], id="surrogate"),
    ],
)
def test_malformed_keys(text: str) -> None:
    """Length, alphabet, form and checksum are each checked."""
    with pytest.raises(MalformedAccessKey):
        parse_key(text)


def test_the_checksum_is_padded() -> None:
    """A small CRC32 has leading zeros, as a small secret has."""
    texts = [text_of(random=bytes(16) + index.to_bytes(32, "big")) for index in range(200)]
    assert all(text[5:17] == "0" * 12 and text[17:50] == "0" * 33 for text in texts)
    assert any(text[60] == "0" for text in texts)
    assert all(parse_key(text).id == "0" * 12 for text in texts)


@pytest.mark.parametrize("size", [0, RANDOM_BYTES - 1, RANDOM_BYTES + 1])
def test_a_key_takes_all_of_its_random_bytes(size: int) -> None:
    """Less randomness than there should be never becomes a key."""
    with pytest.raises(ValueError, match="48 random bytes"):
        compose_key(AccessKeyForm.ROBOT, bytes(size))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(text_of(), True, id="key"),
        pytest.param("tknr_", True, id="marker-alone"),
        pytest.param("tknz_whatever", True, id="unknown-form"),
        pytest.param("tkn_", False, id="no-form"),
        pytest.param("tkn1_x", False, id="digit"),
        pytest.param("tknR_x", False, id="upper-case"),
        pytest.param("tknrs_x", False, id="two-letters"),
        pytest.param(" tknr_x", True, id="blank-before"),
        pytest.param("\r\n\u00a0tknr_x", True, id="blanks-before"),
        pytest.param("\"'tknr_x", True, id="quotes-before"),
        pytest.param("xtknr_x", False, id="letter-before"),
        pytest.param("", False, id="empty"),
    ],
)
def test_what_begins_as_a_key_does(text: str, *, expected: bool) -> None:
    """Three letters, one letter for the form, and the underscore."""
    assert is_marked(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(text_of(), True, id="key"),
        pytest.param(f"robot {text_of()}.", True, id="inside"),
        pytest.param(f"tkntknr_{text_of()[:25]}", True, id="cut"),
        pytest.param(text_of()[:24], False, id="not much more than the id"),
        pytest.param("tkna_ann", False, id="a name"),
        pytest.param("tkn" * 20_000, False, id="long"),
        pytest.param("", False, id="empty"),
    ],
)
def test_what_holds_a_key(text: str, *, expected: bool) -> None:
    """Anywhere in a text, such as a user name; the id alone is no secret."""
    assert holds_key(text) is expected


def test_a_key_does_not_print() -> None:
    """Neither the key nor the declaration shows the secret or its hash."""
    key = compose_key(AccessKeyForm.ROBOT, SAMPLE)
    shown = f"{key!r} {key} {DeclaredSecret(key.id, digest_of(key.text), END)!r}"
    assert text_of()[17:] not in shown
    assert digest_of(key.text).hex() not in shown
    assert repr(digest_of(key.text)) not in shown
    assert key.id in shown


def test_the_hash_is_that_of_all_66_characters() -> None:
    """`printf %s KEY | sha256sum` gives the same, so the form is covered as well."""
    key = compose_key(AccessKeyForm.ROBOT, SAMPLE)
    expected = hashlib.sha256(text_of().encode("ascii")).hexdigest()
    assert hash_line(key) == f"sha256:{expected}"
    assert parse_hash_line(hash_line(key)) == digest_of(key.text) == bytes.fromhex(expected)


@given(forms, randoms, forms, randoms)
def test_a_declaration_matches_its_key_alone(one: AccessKeyForm, a: bytes, other: AccessKeyForm, b: bytes) -> None:
    """Only the very same key matches; one with the same id and secret of another form does not."""
    key = compose_key(one, a)
    declared = DeclaredSecret(key.id, parse_hash_line(hash_line(key)), END)
    assert declared.matches(key.text)
    assert declared.matches(compose_key(other, a).text) is (one is other)
    assert declared.matches(compose_key(one, b).text) is (a[16:] == b[16:] and key.id == compose_key(one, b).id)
    assert not declared.matches(Secret(""))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(END - timedelta(microseconds=1), False, id="before"),
        pytest.param(END, True, id="at"),
        pytest.param(END + timedelta(days=1), True, id="after"),
    ],
)
def test_when_a_secret_ends(now: datetime, *, expected: bool) -> None:
    """The moment `expires` itself is no longer within its life."""
    assert DeclaredSecret("0" * 12, b"", END).is_expired(now) is expected


NETWORKS = (IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("networks", "client", "expected"),
    [
        pytest.param((), IPv4Address("192.0.2.1"), True, id="no-networks"),
        pytest.param((), None, True, id="no-networks-unknown-address"),
        pytest.param(NETWORKS, IPv4Address("10.1.2.3"), True, id="ipv4"),
        pytest.param(NETWORKS, IPv6Address("2001:db8::1"), True, id="ipv6"),
        pytest.param(NETWORKS, IPv4Address("192.0.2.1"), False, id="elsewhere"),
        pytest.param(NETWORKS[:1], IPv6Address("::a00:1"), False, id="other-version"),
        pytest.param(NETWORKS, None, False, id="unknown-address"),
    ],
)
def test_networks_of_a_secret(
    networks: tuple[IPv4Network | IPv6Network, ...],
    client: IPv4Address | IPv6Address | None,
    *,
    expected: bool,
) -> None:
    """Any of the networks, and an unknown address is in none."""
    assert DeclaredSecret("0" * 12, b"", END, networks).allows(client) is expected


@given(st.from_regex(r"\A[0-9A-Za-z]{12}\Z", fullmatch=True))
def test_ids(text: str) -> None:
    """Twelve letters and digits are an id."""
    assert parse_key_id(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "must be the 12 letters and digits", id="empty"),
        pytest.param("3f9K2mQx7Lb", "must be the 12 letters and digits", id="short"),
        pytest.param("3f9K2mQx7LbT0", "must be the 12 letters and digits", id="long"),
        pytest.param("3f9K2mQx7Lb_", "must be the 12 letters and digits", id="alphabet"),
        pytest.param("3f9K2mQx7Lb\n", "must be the 12 letters and digits", id="newline"),
        pytest.param("3f9K2mQx7Lbé", "must be the 12 letters and digits", id="not-ascii"),
        pytest.param(text_of(), "not the secret itself", id="secret"),
    ],
)
def test_wrong_ids(text: str, message: str) -> None:
    """The fault says what an id is; a secret in its place is recognised and not repeated."""
    with pytest.raises(InvalidDeclaration, match=message) as caught:
        parse_key_id(text)
    assert "; fix: " in str(caught.value)
    assert text[:9] not in str(caught.value) or not text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "must be sha256: and 64", id="empty"),
        pytest.param("sha256:" + "0" * 63, "must be sha256: and 64", id="short"),
        pytest.param("sha256:" + "0" * 65, "must be sha256: and 64", id="long"),
        pytest.param("sha256:" + "A" * 64, "in lower case", id="upper-case"),
        pytest.param("sha512:" + "0" * 64, "must be sha256: and 64", id="other-algorithm"),
        pytest.param("0" * 64, "must name its algorithm; fix: write sha256:", id="no-algorithm"),
        pytest.param("sha256:" + "0" * 64 + "\n", "must be sha256: and 64", id="newline"),
        pytest.param(text_of(), "not the secret itself", id="secret"),
        pytest.param(f"sha256:{text_of()}", "not the secret itself", id="secret-after-the-algorithm"),
        pytest.param(text_of()[:-3], "not the secret itself", id="secret-cut"),
    ],
)
def test_wrong_hashes(text: str, message: str) -> None:
    """The fault says what the hash is; a secret in its place is recognised and not repeated."""
    with pytest.raises(InvalidDeclaration, match=message) as caught:
        parse_hash_line(text)
    assert "; fix: " in str(caught.value)
    assert text_of()[17:30] not in str(caught.value)


@given(st.binary(min_size=32, max_size=32))
def test_any_digest_is_read(digest: bytes) -> None:
    """What a hash line says is what comes out."""
    assert parse_hash_line(f"sha256:{digest.hex()}") == digest


@given(forms, randoms)
def test_an_inspected_key(form: AccessKeyForm, random: bytes) -> None:
    """Form and id of a well-formed key; of a mistyped one as well, as long as it has the shape of a key."""
    key = compose_key(form, random)
    text = key.text.reveal()
    assert inspect_key(text) == InspectedKey(form, key.id, True, None)
    mistyped = text[:20] + ("0" if text[20] != "0" else "1") + text[21:]
    assert inspect_key(mistyped) == InspectedKey(form, key.id, False, "is mistyped: its checksum is wrong")


@pytest.mark.parametrize(
    ("text", "form", "problem"),
    [
        pytest.param("", None, "has an unknown form; known forms are p, r, f, s", id="empty"),
        pytest.param("tknx_", None, "has an unknown form; known forms are p, r, f, s", id="form"),
        pytest.param("tkns_", AccessKeyForm.SESSION, "has 5 characters instead of 66", id="marker-alone"),
        pytest.param(
            text_of()[:-1] + "é",
            AccessKeyForm.ROBOT,
            "has a character that is neither an ASCII letter nor a digit",
            id="character",
        ),
    ],
)
def test_an_inspected_text(text: str, form: AccessKeyForm | None, problem: str) -> None:
    """What has not the shape of a key has no id either."""
    assert inspect_key(text) == InspectedKey(form, None, None, problem)


@given(st.text() | st.from_regex(r"\Atkn[a-z]_[0-9A-Za-z]{55,65}\Z", fullmatch=True))
def test_an_inspection_agrees_with_the_parser(text: str) -> None:
    """It finds a problem if and only if the text is no key."""
    try:
        parse_key(text)
    except MalformedAccessKey:
        assert inspect_key(text).problem is not None
    else:
        assert inspect_key(text).problem is None


@pytest.mark.parametrize(
    ("expires", "networks", "note", "rest"),
    [
        pytest.param(END, (), "", "expires: 2027-03-01", id="shortest"),
        pytest.param(END + timedelta(hours=1, minutes=2), (), "", "expires: 2027-03-01T01:02:00Z", id="time"),
        pytest.param(
            END.astimezone(timezone(timedelta(hours=2))), (), "", "expires: 2027-03-01", id="another-time-zone"
        ),
        pytest.param(
            END, NETWORKS, "", 'expires: 2027-03-01, networks: ["10.0.0.0/8", "2001:db8::/32"]', id="networks"
        ),
        pytest.param(END, (), 'a "b": é', 'expires: 2027-03-01, note: "a \\"b\\": é"', id="note"),
    ],
)
def test_a_declaration(
    expires: datetime, networks: tuple[IPv4Network | IPv6Network, ...], note: str, rest: str
) -> None:
    """One item of a list in YAML; id and hash are quoted, since an id may look like a number."""
    key = compose_key(AccessKeyForm.ROBOT, SAMPLE)
    line = spell_declaration(declare(key, expires, networks, note))
    assert line == f'- {{id: "{key.id}", hash: "{hash_line(key)}", {rest}}}'
