"""The commands, and what people are told of them, in the languages of Telegram's interface that are written here."""

from typing import Final

from aiogram.types import BotCommand

COMMANDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "pending": "what waits for people",
        "show": "one request in full: /show <id>",
        "approve": "approve: /approve <id> [note]",
        "reject": "reject: /reject <id> [reason]",
        "status": "how Wingman is",
        "checkpoint": "the audit log's signed head",
        "help": "what I can do",
    },
    "de": {
        "pending": "was auf Menschen wartet",
        "show": "eine Anfrage ganz: /show <id>",
        "approve": "genehmigen: /approve <id> [Notiz]",
        "reject": "ablehnen: /reject <id> [Grund]",
        "status": "wie es Wingman geht",
        "checkpoint": "der signierte Stand des Protokolls",
        "help": "was ich kann",
    },
    "es": {
        "pending": "lo que espera a personas",
        "show": "una solicitud completa: /show <id>",
        "approve": "aprobar: /approve <id> [nota]",
        "reject": "rechazar: /reject <id> [motivo]",
        "status": "cómo está Wingman",
        "checkpoint": "la cabeza firmada del registro",
        "help": "lo que sé hacer",
    },
    "fr": {
        "pending": "ce qui attend quelqu'un",
        "show": "une demande en entier : /show <id>",
        "approve": "approuver : /approve <id> [note]",
        "reject": "refuser : /reject <id> [raison]",
        "status": "comment va Wingman",
        "checkpoint": "la tête signée du journal",
        "help": "ce que je sais faire",
    },
}
INTRODUCTIONS: Final = {
    "en": "I show what workers want to do on the Docker host, and relay your decision. An id may be shortened to a "
    "beginning of four or more characters that no other pending request has. HIGH risk takes two steps.",
    "de": "Ich zeige, was auf dem Docker-Host geschehen soll, und gebe deine Entscheidung weiter. Eine Id darf auf "
    "einen Anfang von mindestens vier Zeichen gekürzt werden, den keine andere wartende Anfrage hat. "
    "Hohes Risiko (HIGH) braucht zwei Schritte.",
    "es": "Muestro lo que se quiere hacer en el host de Docker y transmito tu decisión. Un id se puede acortar a un "
    "comienzo de al menos cuatro caracteres que no tenga ninguna otra solicitud pendiente. "
    "El riesgo HIGH requiere dos pasos.",
    "fr": "Je montre ce qu'on veut faire sur l'hôte Docker et je transmets votre décision. Un id peut être abrégé à un "
    "début d'au moins quatre caractères qu'aucune autre demande en attente n'a. Le risque HIGH demande deux étapes.",
}
DEFAULT: Final = "en"


def bot_commands(language: str) -> list[BotCommand]:
    """Return the commands as Telegram shows them in a language."""
    return [BotCommand(command=name, description=text) for name, text in COMMANDS[language].items()]


def help_text(language: str | None) -> str:
    """Return what /help says to somebody whose Telegram speaks ``language`` (an IETF tag, or None)."""
    known = (language or DEFAULT).partition("-")[0].lower()
    known = known if known in COMMANDS else DEFAULT
    listed = [f"/{name} - {text}" for name, text in COMMANDS[known].items()]
    return "\n".join([INTRODUCTIONS[known], "", *listed])
