"""A browser without scripts for logins at a provider: it keeps cookies for each server and follows redirects."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from harness import web


@dataclass
class OpenIdBrowser:
    """One browser. `visited` are the addresses that it went to, `shown` is the one in the address bar."""

    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The address of the page."""
        return self.visited[-1]

    def request(self, method: str, url: str, fields: dict[str, str] | None = None) -> web.Answer:
        """One request, whose answer may be a redirect."""
        parts = urlsplit(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body = None if fields is None else urlencode(fields).encode()
        self.visited.append(url)
        sent = headers | (web.FORM if fields is not None else {})
        answer = web.request(parts.port or 80, method, target, headers=sent, body=body, seconds=60)
        for cookie in answer.headers.get("set-cookie", []):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            if not value or "max-age=0" in rest.lower():
                jar.pop(name, None)
            else:
                jar[name] = value
        return answer

    def go(self, url: str, fields: dict[str, str] | None = None, *, until: str | None = None) -> web.Answer:
        """Open a page and follow its redirects, up to one to an address that holds `until`, which is not opened."""
        answer = self.request("GET" if fields is None else "POST", url, fields)
        for _ in range(20):
            location = answer.header("location")
            if answer.status not in {302, 303, 307} or location is None:
                return answer
            url = urljoin(url, location)
            if until is not None and until in url:
                self.visited.append(url)
                return answer
            answer = self.request("GET", url)
        raise AssertionError(self.visited)

    def submit(self, answer: web.Answer, **fields: str) -> web.Answer:
        """Fill in the first form of the page that is shown."""
        text = answer.body.decode()
        found = re.search(r'<form[^>]*action="([^"]*)"', text)
        assert found is not None, text
        given = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', text))
        return self.go(urljoin(self.shown, html.unescape(found[1])), {**given, **fields})

    def parameter(self, name: str) -> str:
        """A parameter of the address that is shown; empty if it has none."""
        return parse_qs(urlsplit(self.shown).query).get(name, [""])[0]
