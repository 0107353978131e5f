"""A browser without scripts, for pages of a server in the process: follows links and submits forms as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from tests_web_server import PASSWORDS
from werkzeug.test import TestResponse

HOME = "192.0.2.1"
VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})


@dataclass
class Form:
    """A form of a page: where it leads, and the fields with their values."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""


class Page(HTMLParser):
    """What a page says: its text, forms and links, and whether its elements are closed in order."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.html = response.get_data(as_text=True)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._area: str | None = None
        self.feed(self.html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.append((tag, facts))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "form":
            self.forms.append(Form(facts["action"] or ""))
        elif tag in {"input", "button", "select", "textarea"} and facts.get("name") and self.forms:
            self.forms[-1].fields[facts["name"] or ""] = facts.get("value") or ""
            self._area = facts["name"] if tag == "textarea" else None
            self._select = facts["name"]
        elif tag == "option" and ("selected" in facts or not self.forms[-1].fields[self._select or ""]):
            self.forms[-1].fields[self._select or ""] = facts.get("value") or ""
        elif tag == "a":
            self.links.append(facts.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag
        self._area = None if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1].fields[self._area] += data.removeprefix("\n")
        elif data.strip():
            self.words.append(" ".join(data.split()))
            if self.forms and "form" in self._open:
                self.forms[-1].text += data

    @property
    def text(self) -> str:
        """All that can be read."""
        return " ".join(self.words)

    def form(self, action: str, text: str = "") -> Form:
        """The first form that leads there, and has this text."""
        return next(one for one in self.forms if one.action == action and text in one.text)


class Browser:
    """One browser; its cookies are those of `client`."""

    def __init__(self, client: FlaskClient, *, address: str = HOME, **headers: str) -> None:
        self.client = client
        self.overrides = {"REMOTE_ADDR": address, "wsgi.url_scheme": "https"}
        self.headers = {"User-Agent": "Firefox/1", **headers}

    def get(self, path: str, **headers: str) -> Page:
        """The page at this path; redirections are not followed."""
        return Page(self.client.get(path, headers=self.headers | headers, environ_overrides=self.overrides))

    def post(self, path: str, fields: dict[str, Any], **headers: str) -> Page:
        """The answer to a form with these fields."""
        sent = {"headers": self.headers | headers, "environ_overrides": self.overrides}
        return Page(self.client.post(path, data=fields, **sent))

    def submit(self, page: Page, action: str, text: str = "", /, **fields: str) -> Page:
        """Fill in a form of a page, and send it."""
        form = page.form(action, text)
        return self.post(action, form.fields | fields)

    def end(self, page: Page, action: str, text: str = "", /, **fields: str) -> Page:
        """Fill in a form of a page that ends something, and say yes when asked."""
        question = self.submit(page, action, text, **fields)
        assert question.status == 200, question.text
        return self.submit(question, action)

    def log_in(self, name: str = "ann", password: str | None = None) -> Page:
        """Log in at the login page; the answer to the form."""
        typed = PASSWORDS[name] if password is None else password
        return self.submit(self.get("/login"), "/login", username=name, password=typed)
