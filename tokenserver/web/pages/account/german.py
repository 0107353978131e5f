"""The German texts of reasons of management, and of the questions before something ends, by the English ones."""

from __future__ import annotations

from collections.abc import Mapping

GERMAN_OF_ENDINGS: Mapping[str, str] = {
    "End the access key {name}?": "Den Zugriffsschlüssel {name} beenden?",
    "End the secret {name}?": "Das Geheimnis {name} beenden?",
    "The secret stops working within two seconds, everywhere, and never comes back."
    " Tokens that were issued already work until they expire, a few minutes later.": (
        "Das Geheimnis gilt innerhalb von zwei Sekunden nirgends mehr, und kommt nie zurück."
        " Token, die schon ausgestellt sind, gelten bis zu ihrem Ablauf, wenige Minuten später."
    ),
    "End the login {name}?": "Die Anmeldung {name} beenden?",
    "The browser or the program must log in again. This cannot be undone.": (
        "Der Browser oder das Programm muss sich neu anmelden. Das lässt sich nicht zurücknehmen."
    ),
    "End all other logins?": "Alle anderen Anmeldungen beenden?",
    "End all logins of {name}?": "Alle Anmeldungen von {name} beenden?",
    "The browsers and programs must log in again. This cannot be undone.": (
        "Die Browser und Programme müssen sich neu anmelden. Das lässt sich nicht zurücknehmen."
    ),
    "Yes, end it": "Ja, beenden",
}

GERMAN_REASONS: Mapping[str, str] = {
    # Who may
    "credential may not manage": "mit diesem Zugang lässt sich nichts verwalten",
    "the login is more than an hour ago; fix: log in again to make a secret": (
        "die Anmeldung ist mehr als eine Stunde alt; melden Sie sich noch einmal an, um ein Geheimnis zu erstellen"
    ),
    "only administrators manage what belongs to others": "nur Administratoren verwalten, was anderen gehört",
    "only its owner may change an access key; fix: end it, and make another one": (
        "nur sein Besitzer darf einen Zugriffsschlüssel ändern; beenden Sie ihn, und erstellen Sie einen neuen"
    ),
    # What is not there
    "there is no such access key": "diesen Zugriffsschlüssel gibt es nicht",
    "there are no personal access keys at this server": "dieser Server hat keine persönlichen Zugriffsschlüssel",
    "no user source has this user": "keine Benutzerquelle kennt diesen Benutzer",
    "there is no such login": "diese Anmeldung gibt es nicht",
    "there is no such robot among those that you manage": "diesen Roboter verwalten Sie nicht",
    "the robot has no such secret": "dieses Geheimnis hat der Roboter nicht",
    # What does not fit
    "the user cannot log in now: {reason}": "der Benutzer kann sich zurzeit nicht anmelden",
    "the secret is one of a policy file; fix: change its line there": (
        "das Geheimnis steht in einer Richtliniendatei; ändern Sie dort seine Zeile"
    ),
    "the robot {name} has {most} live secrets, in files and stored, which is the limit;"
    " fix: see which one is used, and end the other one": (
        "der Roboter {name} hat {most} gültige Geheimnisse, und mehr sind nicht erlaubt;"
        " sehen Sie nach, welches benutzt wird, und beenden Sie das andere"
    ),
    "the {what} has ended before": "das ist schon beendet",
    "{owner} has {most} live ones, the limit; fix: revoke one first": (
        "{owner} hat {most} gültige, und mehr sind nicht erlaubt; beenden Sie zuerst einen"
    ),
    "{id} is being rotated already; fix: revoke the newer one first": (
        "{id} wird schon ersetzt; beenden Sie zuerst das neuere"
    ),
    "there is no live credential {id}": "{id} ist nicht mehr gültig",
    "the credential {id} {fault}": "der Eintrag {id} in der Datenbank ist beschädigt",
    # What was typed
    "is none of those on the page": "steht nicht zur Auswahl",
    "is empty; write some of {actions}, or leave it out": "ist leer; wählen Sie aus {actions}",
    "a secret is valid for at least an hour ({least}) and at most {most}": (
        "gilt mindestens eine Stunde und höchstens {most}"
    ),
    "must be at most {most} printable characters": "darf höchstens {most} druckbare Zeichen haben",
    "{text} is no action; write some of {actions}": "{text} ist keine Aktion; möglich sind {actions}",
    "{text} narrows nothing; fix: leave the repositories out, and it is for everything": (
        "{text} schränkt nichts ein; lassen Sie das Feld leer, wenn alles gemeint ist"
    ),
    "{text}: has a variable, which only rules have; fix: write the name in its place": (
        "{text}: Variablen gibt es nur in Regeln; schreiben Sie stattdessen den Namen"
    ),
    "no registry {name} is configured; {hint}": "eine Registry {name} ist nicht konfiguriert",
    "is missing; say why you change what belongs to somebody else": (
        "fehlt; sagen Sie, warum Sie ändern, was jemand anderem gehört"
    ),
    "is missing; a machine has no personal access keys of its own": (
        "fehlt; eine Maschine hat keine eigenen Zugriffsschlüssel"
    ),
    "has more than {most} items": "hat mehr als {most} Einträge",
    # Patterns and networks
    "longer than {most} characters, the limit for repository names": (
        "länger als {most} Zeichen, die Grenze für Namen von Repositorys"
    ),
    "has a * in more than {most} segments; fix: use one ** for several segments": (
        "hat in mehr als {most} Segmenten ein *; schreiben Sie ein ** für mehrere Segmente"
    ),
    "has an empty segment; fix: remove the / at either end, and // inside": (
        "hat ein leeres Segment; entfernen Sie den / am Anfang oder Ende, und // in der Mitte"
    ),
    "{text}: ** must be a whole segment; fix: use * inside a segment": (
        "{text}: ** muss ein ganzes Segment sein; innerhalb eines Segments steht *"
    ),
    "{text}: a segment has at most one variable; fix: put a / between them": (
        "{text}: ein Segment hat höchstens eine Variable; trennen Sie sie durch /"
    ),
    "{text}: a variable has a * on one side at most; fix: put a / between them": (
        "{text}: eine Variable hat höchstens auf einer Seite ein *; trennen Sie sie durch /"
    ),
    "{text}: repository names are lower case": "{text}: Namen von Repositorys sind klein geschrieben",
    "{text}: no repository can have this name; fix: use single dots": (
        "{text}: so kann kein Repository heißen; Punkte stehen einzeln"
    ),
    "{text}: a segment consists of a-z 0-9 . _ - and the wildcards * and **{hint}": (
        "{text}: ein Segment besteht aus a-z 0-9 . _ - und den Platzhaltern * und **"
    ),
    "{text}: no repository can have this name; fix: put separators only between letters or digits": (
        "{text}: so kann kein Repository heißen; Trennzeichen stehen nur zwischen Buchstaben oder Ziffern"
    ),
    "{text}: must be a network such as 10.0.0.0/8 or 2001:db8::/32": (
        "{text}: muss ein Netz sein, wie 10.0.0.0/8 oder 2001:db8::/32"
    ),
    "{text}: has bits set after the prefix; fix: write {network}": (
        "{text}: hat Bits hinter dem Präfix; schreiben Sie {network}"
    ),
    "{text}: is an IPv4 network written as IPv6; fix: write {network}": (
        "{text}: ist ein IPv4-Netz, als IPv6 geschrieben; schreiben Sie {network}"
    ),
}
"""By what the reasons are made from, see `Reasons`."""
