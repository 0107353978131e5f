"""The German texts of the pages about policies, by the English ones. See `pages.german`."""

from __future__ import annotations

from collections.abc import Mapping

GERMAN_OF_POLICIES: Mapping[str, str] = {
    "Action": "Aktion",
    "Repository": "Repository",
    "Its name without the registry and the tag, such as web/site; for the catalog registry:catalog.": (
        "Der Name ohne Registry und Tag, etwa web/site; für den Katalog registry:catalog."
    ),
    "Pages about policies": "Seiten zu den Richtlinien",
    "Try a change": "Änderung ausprobieren",
    "Who can?": "Wer darf?",
    "Matrix": "Matrix",
    "My access": "Mein Zugriff",
    "Ask what you may do with a repository, and why. The answer is what your container engine would get.": (
        "Fragen Sie, was Sie mit einem Repository tun dürfen und warum. "
        "Die Antwort ist, was Ihre Container-Engine bekäme."
    ),
    "Ask": "Fragen",
    "Answer": "Antwort",
    "There is no such registry.": "Diese Registry gibt es nicht.",
    "Yes: you may {action} {resource} at {service}.": "Ja: Sie haben {action} für {resource} bei {service}.",
    "No: a rule forbids you to {action} {resource} at {service}.": (
        "Nein: Eine Regel verbietet Ihnen {action} für {resource} bei {service}."
    ),
    "No: no rule lets you {action} {resource} at {service}.": (
        "Nein: Keine Regel erlaubt Ihnen {action} für {resource} bei {service}."
    ),
    "Rule": "Regel",
    "Effect": "Wirkung",
    "Message": "Nachricht",
    "Place": "Stelle",
    "The rules that decide": "Die Regeln, die entscheiden",
    "forbids it": "verbietet es",
    "allows it": "erlaubt es",
    "What comes closest": "Was am nächsten kommt",
    "{rule} grants it to {who}: {missing}": "{rule} erlaubt es {who}: {missing}",
    "There are too many rules to say which comes closest.": (
        "Es gibt zu viele Regeln, um zu sagen, welche am nächsten kommt."
    ),
    "Whom to ask": "Wen Sie fragen können",
    "Who can do this?": "Wer darf das?",
    "Everybody who can do something with a repository, by the policies that are in force.": (
        "Alle, die nach den geltenden Richtlinien etwas mit einem Repository tun dürfen."
    ),
    "Who can {action} {resource}": "Wer {action} für {resource} hat",
    "Who": "Wer",
    "When": "Wann",
    "Members": "Mitglieder",
    "Who can": "Wer darf",
    "always": "immer",
    "Nobody can.": "Niemand darf das.",
    "But never {who}.": "Aber niemals {who}.",
    "What everybody whom a rule names may do on every pattern of the rules.": (
        "Was alle, die eine Regel nennt, auf jedem Muster der Regeln dürfen."
    ),
    "Matrix of {service}": "Matrix von {service}",
    (
        "p pull, P push, d delete, a all of a registry's resource; * for a part of it, or under a condition; "
        "? for some of them only, by their names or groups"
    ): (
        "p pull, P push, d delete, a alles an einer Ressource der Registry; "
        "* für einen Teil oder unter einer Bedingung; "
        "? nur für einige, nach Namen oder Gruppen"
    ),
    (
        "Change policy files here to see what would happen. "
        "Nothing is written: the files on the server stay as they are."
    ): (
        "Ändern Sie hier Richtliniendateien, um zu sehen, was geschähe. Nichts wird geschrieben: Die Dateien auf dem "
        "Server bleiben, wie sie sind."
    ),
    "Another change is being examined. Wait a few seconds, then send this one again.": (
        "Eine andere Änderung wird gerade geprüft. Warten Sie einige Sekunden und senden Sie diese noch einmal."
    ),
    "Files": "Dateien",
    "is behind a link, so its text is not shown": "liegt hinter einem Link, deshalb wird der Text nicht gezeigt",
    "{lines} lines": "{lines} Zeilen",
    "Open the chosen files": "Gewählte Dateien öffnen",
    "Your change": "Ihre Änderung",
    "Without {name}": "Ohne {name}",
    "A new file": "Eine neue Datei",
    "Below the policy folder, such as teams/web.yaml.": "Unterhalb des Richtlinienordners, etwa teams/web.yaml.",
    "Text": "Text",
    "Examine": "Prüfen",
    "What would happen": "Was geschähe",
    "Nothing is changed: this is about the policies that are in force.": (
        "Nichts ist geändert: Dies betrifft die geltenden Richtlinien."
    ),
    "Changed: {files}": "Geändert: {files}",
    "The server would reject these files, and keep the policies that it has.": (
        "Der Server würde diese Dateien ablehnen und seine Richtlinien behalten."
    ),
    "The server would load these files.": "Der Server würde diese Dateien laden.",
    "The server would reject these files, because a test fails.": (
        "Der Server würde diese Dateien ablehnen, weil ein Test fehlschlägt."
    ),
    "Tests of {files} fail. A change of such a file is put in force only once they pass.": (
        "Tests von {files} schlagen fehl. Eine Änderung einer solchen Datei gilt erst, wenn sie bestehen."
    ),
    "And {count} more.": "Und {count} weitere.",
    "Who gains and loses what": "Wer was gewinnt und verliert",
    "Gains": "Gewinne",
    "Losses": "Verluste",
    "May": "Darf",
    "For example": "Zum Beispiel",
    "Rules": "Regeln",
    "Administrators": "Administratoren",
    "{who} becomes an administrator, by {entries}": "{who} wird Administrator, durch {entries}",
    "Owners of robots": "Besitzer von Robotern",
    "{who} becomes an owner of {robot}, by {entries}": "{who} wird Besitzer von {robot}, durch {entries}",
    "{who} is no longer an owner of {robot}, by {entries}": (
        "{who} ist nicht mehr Besitzer von {robot}, durch {entries}"
    ),
    "{who} is no longer an administrator, by {entries}": "{who} ist nicht mehr Administrator, durch {entries}",
    "Lifetimes of tokens": "Lebensdauer von Tokens",
    "{file}: {old} before, {new} after": "{file}: vorher {old}, nachher {new}",
    "Tests": "Tests",
    "Tests: {count}, failed: {failed}": "Tests: {count}, fehlgeschlagen: {failed}",
    "Lint": "Lint",
    "No findings.": "Keine Befunde.",
}
