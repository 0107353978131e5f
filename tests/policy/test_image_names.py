"""Image names by the reference grammar, URLs of images, and which registry a host means."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.policy.image_names import (
    SCHEMES,
    ImageName,
    ImageNameError,
    RegistryNames,
    is_host,
    parse_image_name,
    registries_at,
    request_hint,
    scope_hint,
    split_host,
)
from tokenserver.scopes import is_repository_name

DIGEST = "sha256:" + "0123456789abcdef" * 4
API = "https://r.example.com/v2/web/site"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("web/site", ImageName("", "web/site"), id="repository"),
        pytest.param("site", ImageName("", "site"), id="one-segment"),
        pytest.param("site:1.0_b-C", ImageName("", "site", "1.0_b-C"), id="tag"),
        pytest.param("web/site:1", ImageName("", "web/site", "1"), id="tag-of-two-segments"),
        pytest.param(f"web/site@{DIGEST}", ImageName("", "web/site", "", DIGEST), id="digest"),
        pytest.param(f"web/site:1@{DIGEST}", ImageName("", "web/site", "1", DIGEST), id="tag-and-digest"),
        pytest.param("localhost:5000/web/site:1", ImageName("localhost:5000", "web/site", "1"), id="port"),
        pytest.param("localhost/site", ImageName("localhost", "site"), id="localhost"),
        pytest.param("localhost:5000", ImageName("", "localhost", "5000"), id="localhost-is-a-repository-when-alone"),
        pytest.param("r.example.com/site", ImageName("r.example.com", "site"), id="dot"),
        pytest.param("R.Example.com/site", ImageName("R.Example.com", "site"), id="case-of-a-host"),
        pytest.param("Web/site", ImageName("Web", "site"), id="capital-makes-a-host"),
        pytest.param("r.example.com", ImageName("", "r.example.com"), id="dot-without-slash"),
        pytest.param("v1.0_2/x", ImageName("", "v1.0_2/x"), id="no-host-has-an-underscore"),
        pytest.param("10.0.0.1:5000/a", ImageName("10.0.0.1:5000", "a"), id="ipv4"),
        pytest.param("[::1]:5000/a:1", ImageName("[::1]:5000", "a", "1"), id="ipv6"),
        pytest.param("r.example.com/docker.io/a", ImageName("r.example.com", "docker.io/a"), id="mirror"),
        pytest.param("docker.io/alpine", ImageName("docker.io", "library/alpine"), id="docker-hub-official"),
        pytest.param("index.docker.io/me/app:1", ImageName("docker.io", "me/app", "1"), id="docker-hub"),
        pytest.param("docker://r:5000/a:1", ImageName("r:5000", "a", "1", "", "docker"), id="skopeo"),
        pytest.param("oci://r.example.com/charts/a", ImageName("r.example.com", "charts/a", "", "", "oci"), id="helm"),
        pytest.param("HTTPS://registry/a/b", ImageName("registry", "a/b", "", "", "https"), id="scheme-makes-a-host"),
        pytest.param(f"{API}/manifests/1", ImageName("r.example.com", "web/site", "1", "", "https"), id="manifest"),
        pytest.param(
            f"{API}/manifests/{DIGEST}",
            ImageName("r.example.com", "web/site", "", DIGEST, "https"),
            id="manifest-digest",
        ),
        pytest.param(f"{API}/blobs/{DIGEST}", ImageName("r.example.com", "web/site", "", DIGEST, "https"), id="blob"),
        pytest.param(f"{API}/blobs/uploads/", ImageName("r.example.com", "web/site", "", "", "https"), id="upload"),
        pytest.param(f"{API}/tags/list?n=1", ImageName("r.example.com", "web/site", "", "", "https"), id="tags"),
        pytest.param("http://r:5000/a/", ImageName("r:5000", "a", "", "", "http"), id="trailing-slash"),
    ],
)
def test_image_names(text: str, expected: ImageName) -> None:
    """Host, repository, tag and digest, as in distribution/reference."""
    assert parse_image_name(text) == expected
    assert expected.is_plain == (text == expected.repository)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "names no repository", id="empty"),
        pytest.param("localhost:5000/", "names no repository", id="no-repository"),
        pytest.param("https://r.example.com", "names no repository", id="url-without-path"),
        pytest.param("A", "'A' is no legal name of a repository; repositories are lower case", id="capital"),
        pytest.param("r.io/Web/x", "'Web/x' is no legal name of a repository; repositories", id="capital-below-host"),
        pytest.param("web/**", "'web/**' is no legal name of a repository (a name, not a pattern)", id="pattern"),
        pytest.param("web//x", "'web//x' is no legal name of a repository", id="empty-segment"),
        pytest.param("a/b:5/c", "'a/b:5/c' is no legal name", id="colon-inside"),
        pytest.param("r.io/x:5000/web", "'x:5000/web' is no legal name", id="second-host"),
        pytest.param("web/site:", "'' is no tag", id="empty-tag"),
        pytest.param("web/site:a+b", "'a+b' is no tag", id="tag"),
        pytest.param("web/site@sha256:12", "'sha256:12' is no digest", id="digest"),
        pytest.param("ftp://r.io/x", "an image has no scheme, or one of https, http, docker, oci", id="scheme"),
        pytest.param("https://r_1.io/x", "'r_1.io' is no host name", id="host"),
        pytest.param("r:port/x", "'r:port/x' is no legal name", id="port"),
        pytest.param("https:///x", "'' is no host name", id="no-host"),
        pytest.param("https://ann:secret@r.io/x", "is no host name", id="credentials"),
        pytest.param("a" * 256, "is no legal name", id="long"),
    ],
)
def test_what_is_no_image_name(text: str, said: str) -> None:
    """Each with the part that is wrong."""
    with pytest.raises(ImageNameError) as raised:
        parse_image_name(text)
    assert said in str(raised.value)


components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,2})[a-z0-9]{1,3}){0,2}", fullmatch=True)
plain_components = components.filter(lambda text: not is_host(text))
hosts = st.one_of(
    st.just("localhost"),
    st.builds("{}.{}".format, st.from_regex(r"[a-zA-Z0-9]{1,5}", fullmatch=True), st.sampled_from(["io", "COM"])),
    st.builds("{}:{}".format, st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), st.integers(0, 65535)),
).filter(lambda host: host.lower() not in ("docker.io", "index.docker.io"))
tags = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True))
digests = st.one_of(st.just(""), st.just(DIGEST))


@given(st.one_of(st.just(""), hosts), plain_components, st.lists(components, max_size=3), tags, digests)
def test_a_spelled_name_is_parsed_back(host: str, first: str, more: list[str], tag: str, digest: str) -> None:
    """Every combination of parts, each as it was."""
    repository = "/".join([first, *more])
    text = (f"{host}/" if host else "") + repository + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    assert parse_image_name(text) == ImageName(host, repository, tag, digest)


@given(
    st.one_of(st.text(), st.text("aA0.:/@-_[]*~ \n", max_size=30)), st.sampled_from(["", *(f"{s}://" for s in SCHEMES)])
)
@example("localhost:5000/a:1", "")
def test_any_text(text: str, scheme: str) -> None:
    """Is an image name whose repository clients can request, or an error that quotes the text."""
    try:
        found = parse_image_name(scheme + text)
    except ImageNameError as error:
        assert repr(scheme + text) in str(error)  # noqa: PT017 - both outcomes are right
        return
    assert is_repository_name(found.repository)
    assert ":" not in found.repository
    assert not found.is_plain or found.repository == text
    assert not (scheme and not found.host)


@given(components, st.lists(components, max_size=3))
def test_a_repository_stays_as_it_is(first: str, more: list[str]) -> None:
    """Unless its first segment is a host by the reference grammar."""
    text = "/".join([first, *more])
    found = parse_image_name(text)
    assert found.is_plain != bool(more and is_host(first) and "_" not in first)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("web/**", ("", "web/**"), id="pattern"),
        pytest.param("**", ("", "**"), id="everything"),
        pytest.param("localhost:5000/web/**", ("localhost:5000", "web/**"), id="host"),
        pytest.param("https://registry/web/*", ("registry", "web/*"), id="url"),
        pytest.param("v1.*/x", ("", "v1.*/x"), id="glob-with-a-dot"),
        pytest.param("r.io:*/x", ("", "r.io:*/x"), id="glob-with-a-colon"),
    ],
)
def test_hosts_of_patterns(text: str, expected: tuple[str, str]) -> None:
    """Only a whole host is split off."""
    assert split_host(text) == expected


REGISTRIES = (
    RegistryNames("localhost:5000", ("localhost:5000",)),
    RegistryNames("registry.example.com", ("registry.example.com", "Old.example.com")),
    RegistryNames("staging", ("staging",), "https://staging.example.com:8443"),
    RegistryNames("production", ("production",), "https://images.example.com/"),
    RegistryNames("lab", ("lab", "lab.example.com"), "http://lab.example.com"),
)


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        pytest.param("localhost:5000", "", "localhost:5000", id="service-with-port"),
        pytest.param("localhost:5001", "", None, id="another-port"),
        pytest.param("localhost", "", None, id="service-needs-its-port"),
        pytest.param("registry.example.com", "", "registry.example.com", id="service"),
        pytest.param("REGISTRY.example.com", "", "registry.example.com", id="case"),
        pytest.param("registry.example.com:443", "", "registry.example.com", id="default-port"),
        pytest.param("registry.example.com:5000", "", "registry.example.com", id="service-without-port-and-url"),
        pytest.param("old.example.com", "", "registry.example.com", id="alias"),
        pytest.param("staging", "", "staging", id="service-of-one-word"),
        pytest.param("staging.example.com:8443", "", "staging", id="url-with-port"),
        pytest.param("staging.example.com", "", None, id="url-needs-its-port"),
        pytest.param("staging:9999", "", None, id="the-url-says-another-port"),
        pytest.param("images.example.com", "", "production", id="url"),
        pytest.param("images.example.com:443", "https", "production", id="url-and-its-default-port"),
        pytest.param("lab.example.com:80", "http", "lab", id="plain-http"),
        pytest.param("images.example.com:80", "https", None, id="another-default-port"),
        pytest.param("ghcr.io", "", None, id="unknown"),
        pytest.param("[::1]", "", None, id="ipv6"),
    ],
)
def test_the_registry_of_a_host(host: str, scheme: str, expected: str | None) -> None:
    """By URL or service name, in any case, with or without the default port."""
    found = [one.service for one in registries_at(host, scheme, REGISTRIES)]
    assert found == ([] if expected is None else [expected])


def test_several_registries_at_one_host() -> None:
    """All of them, for the caller to choose."""
    twins = [RegistryNames(name, (name,), "https://r.example.com") for name in ("one", "two")]
    assert registries_at("r.example.com", "", twins) == twins


ALONE = "ask for repository:web/site:push; a scope names the repository alone"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param("repository:web/site:push", "", id="right-as-it-is"),
        pytest.param("repository:r.io/web/site:push", f"if r.io is the registry's host, {ALONE}", id="host"),
        pytest.param("repository:h:5000/web/site:1:push", f"if h:5000 is the registry's host, {ALONE}", id="all"),
        pytest.param("repository:web/site:1:push", ALONE, id="tag"),
        pytest.param(f"repository:web/site@{DIGEST}:push", ALONE, id="digest"),
        pytest.param("repository:https://r.io/web/site:push", f"if r.io is the registry's host, {ALONE}", id="url"),
        pytest.param("registry:r.io/catalog:push", "", id="no-repository"),
        pytest.param("repository:r.io/web/site:", "", id="no-actions"),
        pytest.param("repository:r.io/Web//site:push", "", id="no-image-name"),
        pytest.param("repository", "", id="no-scope"),
        pytest.param("repository:Team/site:1:push", "", id="capitals-are-a-mistake"),
        pytest.param(f"repository:r.io/{'x' * 600}:push", "", id="too-long"),
    ],
)
def test_hints_for_scopes(scope: str, expected: str) -> None:
    """What a pasted name means, if it is one and not a repository already."""
    assert scope_hint(scope) == expected


@given(st.text(max_size=80) | st.text("repositoy:/.@ahst5000", max_size=60).map("repository:".__add__))
@example(f"repository:h:1/a:1@{DIGEST}:pull")
def test_a_hint_asks_for_a_scope(text: str) -> None:
    """Whatever a client sends: there is no hint, or one that names a legal repository and needs no further hint."""
    hint = scope_hint(text)
    if hint:
        wanted = hint.partition("ask for ")[2].partition("; ")[0]
        assert is_repository_name(wanted.removeprefix("repository:").rpartition(":")[0])
        assert scope_hint(wanted) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("web/site:1", "; did you mean 'push web/site'? Policies are about repositories", id="tag"),
        pytest.param("r.io/site:1", "; did you mean 'push site', with the registry in service:? Policies", id="host"),
        pytest.param("web/**", "", id="no-image-name"),
    ],
)
def test_hints_for_tests(name: str, expected: str) -> None:
    """As a policy file writes it."""
    hint = request_hint("push", name)
    assert hint.startswith(expected)
    assert bool(hint) is bool(expected)
