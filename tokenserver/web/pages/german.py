"""The German texts, by the English ones in templates and code. Readers are addressed as "Sie"."""

from __future__ import annotations

from collections.abc import Mapping

from tokenserver.web.pages.account.german import GERMAN_OF_ENDINGS
from tokenserver.web.pages.openid.german import OPENID_GERMAN
from tokenserver.web.pages.policies.german import GERMAN_OF_POLICIES
from tokenserver.web.pages.terminal.german import TERMINAL_GERMAN

GERMAN: Mapping[str, str] = {
    **OPENID_GERMAN,
    **GERMAN_OF_POLICIES,
    **GERMAN_OF_ENDINGS,
    # The shell, and the page at /
    "Skip to the content": "Zum Inhalt springen",
    "Pages": "Seiten",
    "Account": "Konto",
    "Access": "Zugriff",
    "Administration": "Verwaltung",
    "Logged in as {name}": "Angemeldet als {name}",
    "Log out": "Abmelden",
    "This server issues short-lived tokens for container registries.": (
        "Dieser Server stellt kurzlebige Token für Container-Registrys aus."
    ),
    "Container registries": "Container-Registrys",
    "Container engines use this server by themselves. You come here for your keys.": (
        "Container-Programme benutzen diesen Server von selbst. Sie kommen wegen Ihrer Schlüssel hierher."
    ),
    "Up and ready": "Läuft und ist bereit",
    "Up, but not ready": "Läuft, ist aber nicht bereit",
    "Your account: access keys and logins": "Ihr Konto: Zugriffsschlüssel und Anmeldungen",
    "What you may do, and why not": "Was Sie dürfen, und warum etwas nicht geht",
    "Log in a terminal by its code": "Ein Terminal mit seinem Code anmelden",
    "To use a registry": "Um eine Registry zu benutzen",
    "Log in to the registry, not to this address, with your user name and your password or an access key:": (
        "Melden Sie sich bei der Registry an, nicht bei dieser Adresse,"
        " mit Ihrem Benutzernamen und Ihrem Passwort oder einem Zugriffsschlüssel:"
    ),
    "For operators": "Für den Betrieb",
    "whether the process is up": "ob der Prozess läuft",
    "whether it can issue tokens; what is not ready, and what is degraded": (
        "ob er Token ausstellen kann; was nicht bereit und was eingeschränkt ist"
    ),
    "the certificate that registries trust": "das Zertifikat, dem Registrys vertrauen",
    "the public keys": "die öffentlichen Schlüssel",
    # Logging in and out
    "Log in": "Anmelden",
    "For your account here. Container engines log in to the registry, not to this page.": (
        "Für Ihr Konto hier. Container-Programme melden sich bei der Registry an, nicht auf dieser Seite."
    ),
    "Log in with {name}": "Anmelden mit {name}",
    "or": "oder",
    "User name": "Benutzername",
    "Password": "Passwort",
    "You were logged out. Log in again.": "Sie wurden abgemeldet. Melden Sie sich wieder an.",
    "You are logged out.": "Sie sind abgemeldet.",
    "You logged in a while ago. To go on, log in again.": (
        "Ihre Anmeldung liegt eine Weile zurück. Um fortzufahren, melden Sie sich noch einmal an."
    ),
    # The account
    "Your account": "Ihr Konto",
    "Who you are": "Wer Sie sind",
    "administrator": "Administrator",
    "Known from": "Bekannt aus",
    "Groups": "Gruppen",
    "from {source}": "aus {source}",
    "from the policies": "aus den Richtlinien",
    "none": "keine",
    "Logged in until": "Angemeldet bis",
    "Your access keys": "Ihre Zugriffsschlüssel",
    "Make a key": "Schlüssel erstellen",
    "An access key takes the place of your password on one machine."
    " It can do at most what you can do, and ends by itself.": (
        "Ein Zugriffsschlüssel ersetzt Ihr Passwort auf einem Rechner."
        " Er kann höchstens, was Sie können, und läuft von selbst ab."
    ),
    "Name": "Name",
    "For": "Für",
    "Valid until": "Gültig bis",
    "Last used": "Zuletzt benutzt",
    "Actions": "Aktionen",
    "without a name": "ohne Namen",
    "everything you may do": "alles, was Sie dürfen",
    "soon": "bald",
    "never": "nie",
    "from {address}": "von {address}",
    "in {repositories}": "in {repositories}",
    "at {registries}": "bei {registries}",
    "Change": "Ändern",
    "You have no access key.": "Sie haben keinen Zugriffsschlüssel.",
    "Keys that have ended": "Beendete Schlüssel",
    "ended": "beendet",
    "Robots that you manage": "Roboter, die Sie verwalten",
    "Your logins": "Ihre Anmeldungen",
    "Browsers and programs that are logged in with your password. End those that you do not know.": (
        "Browser und Programme, die mit Ihrem Passwort angemeldet sind. Beenden Sie alle, die Sie nicht kennen."
    ),
    "What": "Was",
    "Since": "Seit",
    "Browser": "Browser",
    "Container engine": "Container-Programm",
    "this one": "dieser",
    "End": "Beenden",
    "End all other logins": "Alle anderen Anmeldungen beenden",
    "The access key has ended. Nobody can use it any more.": (
        "Der Zugriffsschlüssel ist beendet. Niemand kann ihn mehr benutzen."
    ),
    "The access key has its new name.": "Der Zugriffsschlüssel hat seinen neuen Namen.",
    "The login has ended.": "Die Anmeldung ist beendet.",
    "All other logins have ended.": "Alle anderen Anmeldungen sind beendet.",
    # Keys
    "The key is shown once, on the next page. Use it where a program asks for your password.": (
        "Der Schlüssel wird einmal gezeigt, auf der nächsten Seite."
        " Benutzen Sie ihn, wo ein Programm nach Ihrem Passwort fragt."
    ),
    "No key was made. Correct the marked fields, then try again.": (
        "Es wurde kein Schlüssel erstellt. Berichtigen Sie die markierten Felder und versuchen Sie es noch einmal."
    ),
    "Cancel": "Abbrechen",
    "Where it will be used, such as the name of the machine.": (
        "Wo er benutzt wird, zum Beispiel der Name des Rechners."
    ),
    "Valid for": "Gültig für",
    "12 hours": "12 Stunden",
    "7 days": "7 Tage",
    "30 days": "30 Tage",
    "90 days": "90 Tage",
    "1 year": "1 Jahr",
    "As long as possible": "So lange wie möglich",
    "Allowed": "Erlaubt",
    "Everything allowed": "Alles Erlaubte",
    "Pull only": "Nur Pull",
    "Pull and push": "Pull und Push",
    "Narrow it further": "Weiter einschränken",
    "Registry": "Registry",
    "All registries": "Alle Registrys",
    "Repositories": "Repositorys",
    "One pattern on each line, such as team/** or team/app. Leave it empty for all.": (
        "Ein Muster pro Zeile, zum Beispiel team/** oder team/app. Leer bedeutet alle."
    ),
    "Networks": "Netze",
    "One on each line, such as 10.0.0.0/8. Leave it empty for all.": (
        "Eines pro Zeile, zum Beispiel 10.0.0.0/8. Leer bedeutet alle."
    ),
    "Access key": "Zugriffsschlüssel",
    "This key": "Dieser Schlüssel",
    "Number": "Nummer",
    "Made": "Erstellt",
    "Ended": "Beendet",
    "Rename it": "Umbenennen",
    "Rename": "Umbenennen",
    "Replace it": "Ersetzen",
    "You get a new key with the same limits."
    " This one stays valid for {hours} hours, so that you can change it everywhere.": (
        "Sie bekommen einen neuen Schlüssel mit denselben Grenzen."
        " Dieser bleibt {hours} Stunden gültig, damit Sie ihn überall austauschen können."
    ),
    "Replace this key": "Diesen Schlüssel ersetzen",
    "End it": "Beenden",
    "The key stops working within two seconds, everywhere, and never comes back."
    " Tokens that were issued already work until they expire, a few minutes later.": (
        "Der Schlüssel gilt innerhalb von zwei Sekunden nirgends mehr, und kommt nie zurück."
        " Token, die schon ausgestellt sind, gelten bis zu ihrem Ablauf, wenige Minuten später."
    ),
    "End this key": "Diesen Schlüssel beenden",
    "Your new key": "Ihr neuer Schlüssel",
    "Copy it now: it is shown only here, only once, and cannot be looked up later.": (
        "Kopieren Sie ihn jetzt: Er wird nur hier und nur einmal gezeigt, und lässt sich später nicht nachsehen."
    ),
    "Log in to the registry:": "Melden Sie sich bei der Registry an:",
    "Log in to the registry that you need:": "Melden Sie sich bei der Registry an, die Sie brauchen:",
    "When it asks for the password, paste this:": "Wenn nach dem Passwort gefragt wird, fügen Sie das ein:",
    "I have copied it": "Ich habe ihn kopiert",
    # Robots
    "Robot {name}": "Roboter {name}",
    "Secrets": "Geheimnisse",
    "Two can be valid at a time, so that one can replace the other. What the robot may do is in the policies.": (
        "Zwei können gleichzeitig gültig sein, damit eines das andere ersetzen kann."
        " Was der Roboter darf, steht in den Richtlinien."
    ),
    "everything it may do": "alles, was er darf",
    "not recorded": "nicht aufgezeichnet",
    "Replace": "Ersetzen",
    "in a policy file": "in einer Richtliniendatei",
    "The robot has no secret that is valid.": "Der Roboter hat kein gültiges Geheimnis.",
    "Make a secret": "Geheimnis erstellen",
    "The robot has two secrets. End the one that is not used any more, and you can make another one.": (
        "Der Roboter hat zwei Geheimnisse."
        " Beenden Sie das, das nicht mehr benutzt wird, dann können Sie ein neues erstellen."
    ),
    "You logged in a while ago. To make a secret, log in again.": (
        "Ihre Anmeldung liegt eine Weile zurück. Um ein Geheimnis zu erstellen, melden Sie sich noch einmal an."
    ),
    "It is shown once, on the next page.": "Es wird einmal gezeigt, auf der nächsten Seite.",
    "No secret was made. Correct the marked fields, then try again.": (
        "Es wurde kein Geheimnis erstellt. Berichtigen Sie die markierten Felder und versuchen Sie es noch einmal."
    ),
    "The new secret": "Das neue Geheimnis",
    "The new secret of {robot}": "Das neue Geheimnis von {robot}",
    "The secret has ended. Nobody can use it any more.": ("Das Geheimnis ist beendet. Niemand kann es mehr benutzen."),
    # Administration
    "Robots": "Roboter",
    "Machines that the policies declare. Their rights are in the policies, their secrets here.": (
        "Maschinen, die in den Richtlinien stehen. Ihre Rechte sind dort, ihre Geheimnisse hier."
    ),
    "Owners": "Besitzer",
    "Valid secrets": "Gültige Geheimnisse",
    "administrators": "Administratoren",
    "The policies declare no robot.": "In den Richtlinien steht kein Roboter.",
    "Keys and logins of everybody": "Schlüssel und Anmeldungen von allen",
    "Show": "Zeigen",
    "Access keys": "Zugriffsschlüssel",
    "Logins": "Anmeldungen",
    "Nobody has a key or a login.": "Niemand hat einen Schlüssel oder eine Anmeldung.",
    "everything the owner may do": "alles, was der Besitzer darf",
    "Reason": "Grund",
    "There is no access key of this person.": "Es gibt keinen Zugriffsschlüssel dieser Person.",
    "End all logins": "Alle Anmeldungen beenden",
    "This person is not logged in anywhere.": "Diese Person ist nirgends angemeldet.",
    "Nothing was changed. Type a reason, then try again.": (
        "Es wurde nichts geändert. Geben Sie einen Grund ein und versuchen Sie es noch einmal."
    ),
    "All logins of this person have ended.": "Alle Anmeldungen dieser Person sind beendet.",
    # Errors
    "To my account": "Zu meinem Konto",
    "Number of this request: {number}": "Nummer dieser Anfrage: {number}",
    "Not found": "Nicht gefunden",
    "There is no page at this address.": "Unter dieser Adresse gibt es keine Seite.",
    "There is nothing like this that you may see.": "Es gibt hier nichts dergleichen, das Sie sehen dürfen.",
    "Not possible": "Nicht möglich",
    "This address is for a form. Go to your account page, and begin there.": (
        "Diese Adresse ist für ein Formular. Beginnen Sie auf der Seite Ihres Kontos."
    ),
    "Too large": "Zu groß",
    "What you sent is too large.": "Was Sie gesendet haben, ist zu groß.",
    "Not understood": "Nicht verstanden",
    "The server could not read the request. Go back, and try again.": (
        "Der Server konnte die Anfrage nicht lesen. Gehen Sie zurück und versuchen Sie es noch einmal."
    ),
    "Something went wrong": "Etwas ging schief",
    "The server made a mistake. Its log says more.": "Der Server hat einen Fehler gemacht. Sein Protokoll sagt mehr.",
    "Login failed": "Anmeldung fehlgeschlagen",
    "This is an access key, not a password. Log in with the password of your account.": (
        "Das ist ein Zugriffsschlüssel, kein Passwort. Melden Sie sich mit dem Passwort Ihres Kontos an."
    ),
    "The user name or the password is wrong.": "Der Benutzername oder das Passwort ist falsch.",
    "Too many attempts": "Zu viele Versuche",
    "There were too many attempts. Wait {seconds} seconds, then try again.": (
        "Es gab zu viele Versuche. Warten Sie {seconds} Sekunden und versuchen Sie es noch einmal."
    ),
    "Form refused": "Formular abgelehnt",
    "This form is too old, or it is from another site. Nothing was changed. Load the page again.": (
        "Dieses Formular ist zu alt oder von einer anderen Website. Es wurde nichts geändert. Laden Sie die Seite neu."
    ),
    "Sent before": "Schon gesendet",
    "This form was sent before, and is accepted only once. Nothing was changed this time.": (
        "Dieses Formular wurde schon gesendet und wird nur einmal angenommen. Diesmal wurde nichts geändert."
    ),
    "Log in again": "Noch einmal anmelden",
    "Your login is more than an hour old. Nothing was made. Log in again, and send it once more.": (
        "Ihre Anmeldung ist mehr als eine Stunde alt. Es wurde nichts erstellt."
        " Melden Sie sich noch einmal an, und senden Sie es dann wieder."
    ),
    "You were logged out": "Sie wurden abgemeldet",
    "Your login ended while you filled in the form. Nothing was changed. Log in, and send it again.": (
        "Ihre Anmeldung endete, während Sie das Formular ausfüllten. Es wurde nichts geändert."
        " Melden Sie sich an, und senden Sie es noch einmal."
    ),
    "The browser sent no cookie of this page. Allow cookies for it, then load it again.": (
        "Der Browser hat kein Cookie dieser Seite gesendet. Erlauben Sie Cookies für sie, und laden Sie sie dann neu."
    ),
    "What you typed, to copy:": "Was Sie eingegeben haben, zum Kopieren:",
    "Not allowed": "Nicht erlaubt",
    "This page is for administrators.": "Diese Seite ist für Administratoren.",
    "You may not do this: {reason}.": "Das dürfen Sie nicht: {reason}.",
    "Not possible now": "Zurzeit nicht möglich",
    "Not accepted": "Nicht angenommen",
    "Nothing was changed: {reason}.": "Es wurde nichts geändert: {reason}.",
    "Use https": "Benutzen Sie https",
    "This page is not answered without encryption. Use its address that begins with https.": (
        "Diese Seite gibt es nicht ohne Verschlüsselung. Benutzen Sie ihre Adresse, die mit https beginnt."
    ),
    "Too slow": "Zu langsam",
    "The form took too long to arrive. Go back, and send it again.": (
        "Das Formular kam zu langsam an. Gehen Sie zurück und senden Sie es noch einmal."
    ),
    "Not available": "Nicht verfügbar",
    "The server cannot answer now. Wait {seconds} seconds, then try again.": (
        "Der Server kann zurzeit nicht antworten. Warten Sie {seconds} Sekunden und versuchen Sie es noch einmal."
    ),
    "The server cannot answer now. Try again later.": (
        "Der Server kann zurzeit nicht antworten. Versuchen Sie es später noch einmal."
    ),
    **TERMINAL_GERMAN,
}
