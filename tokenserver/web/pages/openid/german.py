"""The German texts about logins at OpenID providers, by the English ones."""

from __future__ import annotations

from collections.abc import Mapping

from tokenserver.authn.oidc import refusals

OPENID_GERMAN: Mapping[str, str] = {
    refusals.NOT_BEGUN: (
        "Diese Anmeldung wurde nicht in diesem Browser begonnen, oder sie ist vorbei. Beginnen Sie sie noch einmal."
    ),
    refusals.PROVIDER_ERROR: (
        "Der Anmeldedienst hat die Anmeldung mit dem Fehler {error} beendet. Beginnen Sie sie noch einmal, oder fragen"
        " Sie die Verwaltung."
    ),
    refusals.NOT_ACCEPTED: (
        "Die Antwort des Anmeldedienstes wurde nicht angenommen. Fragen Sie die Verwaltung, die den Grund im"
        " Audit-Protokoll findet."
    ),
    refusals.WRONG_DOMAIN: "Nur Konten von {domain} können sich hier anmelden. Melden Sie sich mit einem davon an.",
    refusals.UNVERIFIED: (
        "Der Anmeldedienst hat Ihre E-Mail-Adresse nicht geprüft, die hier Ihr Name wäre. Bestätigen Sie sie dort, und"
        " melden Sie sich dann noch einmal an."
    ),
    refusals.NO_NAME: (
        "Der Anmeldedienst nennt in {claim} keinen Namen, der hier möglich ist. Fragen Sie die Verwaltung."
    ),
    refusals.TOO_MANY_GROUPS: (
        "Sie sind in mehr Gruppen, als der Anmeldedienst aufzählen kann. Fragen Sie die Verwaltung."
    ),
    refusals.NO_ACCOUNT: (
        "Der Anmeldedienst kennt Sie als {subject}, und ein solches Konto gibt es hier nicht. Fragen Sie die"
        " Verwaltung."
    ),
    refusals.ACCOUNT_REFUSED: "Ihr Konto kann sich hier zurzeit nicht anmelden. Fragen Sie die Verwaltung.",
    refusals.NAME_TAKEN: "Der Name {subject} gehört hier zu einem anderen Konto. Fragen Sie die Verwaltung.",
    refusals.NAME_WAS_TAKEN: "Der Name {subject} gehörte vorher jemand anderem. Fragen Sie die Verwaltung.",
    refusals.RENAMED: "Der Anmeldedienst nennt einen anderen Namen für Sie als früher. Fragen Sie die Verwaltung.",
    "You are logged out here": "Sie sind hier abgemeldet",
    "You are still logged in at {name}: anybody who uses this browser can come back without a password.": (
        "Bei {name} sind Sie noch angemeldet: Wer diesen Browser benutzt, kann ohne Passwort zurückkommen."
    ),
    "Log out at {name}, too": "Auch bei {name} abmelden",
}
