"""Rendering: templates to HTML in the reader's language. Whatever a template is given is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_environment
from markupsafe import Markup, escape

from tokenserver.management.facts import registries_of
from tokenserver.web.pages.account.german import GERMAN_REASONS
from tokenserver.web.pages.german import GERMAN
from tokenserver.web.pages.rendering.reasons import Reasons
from tokenserver.web.pages.rendering.spelling import bounds_of, spell_program

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": {}, "de": GERMAN}
"""The languages, and the texts in each by the English ones."""

REASONS: Mapping[str, Mapping[str, str]] = {"en": {}, "de": GERMAN_REASONS}
"""The same for reasons of management."""


class Renderer:
    """Renders the templates of this package. `globals_` are there in every template."""

    def __init__(self, **globals_: Any) -> None:
        self._environments = {
            language: _environment(globals_ | _words(language, texts)) for language, texts in LANGUAGES.items()
        }

    def render(self, language: str, template: str, values: Mapping[str, Any]) -> str:
        """The page of this template, in one of `LANGUAGES`."""
        return self._environments[language].get_template(template).render(values)


def _words(language: str, texts: Mapping[str, str]) -> dict[str, Any]:
    return {"_": translator(texts), "reason": Reasons(REASONS[language]).translated, "language": language}


MAX_WORDS = 1024
"""Translated texts that are remembered in each language."""


def translator(texts: Mapping[str, str]) -> Callable[..., Markup]:
    """Translates an English text; `{name}` in it stands for the value of that name, which is escaped."""

    # Most texts have no values, and pages are full of them.
    @lru_cache(MAX_WORDS)
    def plain(text: str) -> Markup:
        return escape(texts.get(text, text)).format()

    def translate(text: str, /, **values: object) -> Markup:
        return escape(texts.get(text, text)).format(**values) if values else plain(text)

    return translate


def spell_moment(moment: float) -> Markup:
    """A moment in seconds since the epoch, to the minute and in UTC, for people and programs."""
    then = datetime.fromtimestamp(moment, UTC)
    shown = Markup("{} <span>{} UTC</span>").format(f"{then:%Y-%m-%d}", f"{then:%H:%M}")
    return Markup('<time datetime="{}">{}</time>').format(f"{then:%Y-%m-%dT%H:%MZ}", shown)


@pass_environment
def _translated(environment: Environment, options: Iterable[tuple[object, str]]) -> list[tuple[str, Markup]]:
    """The options of a choice with their texts in the language of the page."""
    translate = cast("Callable[[str], Markup]", environment.globals["_"])
    return [(str(value), translate(text)) for value, text in options]


def _environment(globals_: Mapping[str, Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("tokenserver.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(globals_)
    environment.filters |= {
        "moment": spell_moment,
        "bounds": lambda listed: bounds_of(listed.credential.ceiling),
        "registries": lambda listed: sorted(registries_of(listed) or ()),
        "program": spell_program,
        "translated": _translated,
        "pairs": lambda names: [(name, name) for name in names],
        "bold": lambda text: Markup("<b>{}</b>").format(text),
        "code": lambda text: Markup("<code>{}</code>").format(text),
    }
    return environment
