"""The German texts, by the English ones in templates and code. Readers are addressed as "Sie"."""

from __future__ import annotations

from collections.abc import Mapping

GERMAN: Mapping[str, str] = {
    "Skip to the content": "Zum Inhalt springen",
    "Pages": "Seiten",
    "Log in": "Anmelden",
    "Log out": "Abmelden",
}
