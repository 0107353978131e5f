"""The German texts of the page for logins from a terminal, by the English ones."""

from __future__ import annotations

from collections.abc import Mapping

TERMINAL_GERMAN: Mapping[str, str] = {
    "Log in on a terminal": "Anmeldung an einem Terminal",
    "Type the code that your terminal shows.": "Geben Sie den Code ein, den Ihr Terminal anzeigt.",
    "There is no login with this code. It may have expired: start it again in your terminal.": (
        "Zu diesem Code gibt es keine Anmeldung. Vielleicht ist er abgelaufen: Beginnen Sie im Terminal noch einmal."
    ),
    "Code": "Code",
    "Eight letters, such as BCDF-GHJK": "Acht Buchstaben, wie BCDF-GHJK",
    "Go on": "Weiter",
    "Confirm a login": "Anmeldung bestätigen",
    "Did you start this login yourself, just now?": "Haben Sie diese Anmeldung gerade selbst begonnen?",
    "A program asks to log in as you, {name}. Confirm only if you have just started it, and your terminal shows this"
    " code:": (
        "Ein Programm möchte sich als Sie anmelden, {name}. Bestätigen Sie nur, wenn Sie es gerade gestartet haben und"
        " Ihr Terminal diesen Code anzeigt:"
    ),
    "The program runs in another network than this browser. If somebody sent you this link or this code, deny it.": (
        "Das Programm läuft in einem anderen Netz als dieser Browser. Wenn Ihnen jemand diesen Link oder diesen Code"
        " geschickt hat, lehnen Sie ab."
    ),
    "Program": "Programm",
    "Its address": "Seine Adresse",
    "Your address": "Ihre Adresse",
    "unknown": "unbekannt",
    "Started": "Begonnen",
    "{seconds} seconds ago": "vor {seconds} Sekunden",
    "Registries": "Registrys",
    "What it can do": "Was es darf",
    "At most this, and nothing that you cannot do:": "Höchstens dies, und nichts, was Sie nicht dürfen:",
    "Everything that you can do": "Alles, was Sie dürfen",
    "Deny": "Ablehnen",
    "Yes, I started it: confirm": "Ja, ich habe sie begonnen: bestätigen",
    "You confirmed the login. Go back to your terminal: it goes on in a few seconds.": (
        "Sie haben die Anmeldung bestätigt. Zurück zum Terminal: Dort geht es in einigen Sekunden weiter."
    ),
    "You denied the login. The program gets nothing.": "Sie haben die Anmeldung abgelehnt. Das Programm erhält nichts.",
    "This login was decided before, or has expired. Nothing was changed.": (
        "Über diese Anmeldung wurde schon entschieden, oder sie ist abgelaufen. Nichts wurde geändert."
    ),
}
