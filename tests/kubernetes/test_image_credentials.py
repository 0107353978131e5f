"""The kubelet's image credential provider: every request of the table is answered or refused as it says."""

from __future__ import annotations

import json

import pytest
from credential_requests import CASES, NOW, RequestCase, request, token_until
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.kubernetes.image_credentials import NoImageCredentials, answer


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_answer(case: RequestCase) -> None:
    """The whole response, or a reason with a fix that repeats nothing of the request."""
    if case.response:
        assert answer(case.request, NOW) == case.response
        return
    with pytest.raises(NoImageCredentials, match=case.refusal) as refused:
        answer(case.request, NOW)
    assert "; fix: " in str(refused.value)


_LABELS = st.lists(st.sampled_from(["a", "Registry", "x--y", "0", "127"]), min_size=2, max_size=4).map(".".join)
_HOSTS = st.tuples(_LABELS, st.sampled_from(["", ":80", ":5000"])).map("".join)
_ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9)


@given(_HOSTS, _ASCII, st.integers(-9, 200_000))
def test_what_the_kubelet_reads(host: str, text: str, life: int) -> None:
    """The password is the token, for the registry as the pod spells it, and never cached beyond the token's end."""
    for token in (text, token_until(NOW + life)):
        response = json.loads(answer(request(image=f"{host}/web/site", serviceAccountToken=token), NOW + 0.9))
        assert response["auth"] == {host: {"username": "workload", "password": token}}
        seconds = int(response["cacheDuration"].removesuffix("s"))
        assert seconds == (min(max(life - 60, 0), 86_400) if token != text else seconds)
        assert (response["kind"], response["cacheKeyType"]) == ("CredentialProviderResponse", "Registry")


def test_refusals_repeat_nothing() -> None:
    """The same few texts for every request, so no token can be in one."""
    texts = set()
    for case in CASES.values():
        if case.refusal:
            with pytest.raises(NoImageCredentials) as refused:
                answer(case.request, NOW)
            texts.add(str(refused.value))
    assert len(texts) == len({case.refusal for case in CASES.values() if case.refusal}) == 9
