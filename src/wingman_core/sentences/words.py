"""The closed lists of English words that the patterns and moods are made of. All in lower case."""

from typing import Final


def listed(words: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(words.split())


def phrases(text: str) -> frozenset[tuple[str, ...]]:
    """Return the phrases of a text that has bars between them, each as its words."""
    return frozenset(tuple(phrase.split()) for phrase in text.split("|"))


FILLERS: Final = listed(
    "the a an i we my our have has been now already just currently successfully also still again finally new newly "
    "following correctly properly both itself indeed manually"
)
"""Words that add nothing a probe could look at; dropped before a pattern is tried."""

JOINTS: Final = frozenset({"and", "but", "then", "&", "plus", ",", "-", "\n"})
"""Where one part of a sentence may end and the next begin."""
NO_JOINT_BEFORE_BUT: Final = listed(
    "everything all nothing anything none any one anybody everyone everybody anyone nobody"
)
"""As in "everything but the database": no new part begins there."""
TAILS: Final = listed("with using for because as so via by after without which ( [ including containing")
"""What may follow a fact and say more about it without changing what it is about."""

FACTIVE: Final = listed("verified confirmed checked ensured noted")
"""Said of what is so: the fact follows, with or without "that"."""

FILE_NOUNS: Final = listed(
    "file files directory directories folder folders dir script scripts document documents symlink"
)
FILE_KINDS: Final = listed(
    "config configuration log output test text json yaml python markdown shell report readme backup source empty "
    "temporary temp data lock environment env settings main csv html sql service unit compose summary"
)
"""What may stand before a path, or before its noun, and says nothing that is looked at."""
CREATED: Final = "created|wrote|written|generated|made|saved|produced"
DELETED: Final = "deleted|removed|erased|unlinked"
MODIFIED: Final = "modified|changed|updated|edited|rewrote|rewritten|touched"
LISTENING: Final = "open|listening|taken|occupied|bound"
RUNNING: Final = "running|up|alive|active"
_NUMBERS: Final = "one two three four five six seven eight nine ten eleven twelve"
AMOUNTS: Final = {word: number for number, word in enumerate(_NUMBERS.split(), start=1)}

DAEMONS: Final = listed(
    "nginx postgres sshd dockerd containerd redis-server mysqld mariadbd mongod cron crond apache2 httpd haproxy caddy "
    "memcached systemd rsyslogd chronyd uvicorn gunicorn prometheus rabbitmq-server"
)
"""Names that are a process's own, so that "the nginx process" names one."""
NO_PROCESS: Final = listed(
    "manager monitor monitoring management control accounting supervisor list table scheduler group id tree count "
    "automation improvement documentation"
)
"""What "process" makes a compound with, as in "process monitoring is running"."""
NO_CONTAINER: Final = listed(
    "runtime orchestration orchestrator engine host registry image images network platform service services logs "
    "scanning build builds management monitoring"
)
LABELS: Final = phrases(
    "done|all done|summary|result|results|status|report|update|note|completed|complete|changes|change|"
    "what did|what was done|what done|here is what did|here is what was done|did|actions taken|confirmed|verified|"
    "fyi|info|success|finished|final state|current state|state|outcome|ok|okay|yes|"
    "did following|thanks|thank you|hello|hi|hey|cheers|best regards|kind regards|great|sure|"
    "happy to help|here is summary|claim|claims|facts|evidence|in summary|to summarize|in short"
)
"""What introduces facts, or stands alone, and is none itself, without fillers; "the task is complete" is a claim."""
COURTESIES: Final = phrases("let me know|please let me know|feel free")
"""How a sentence begins that says nothing."""
RETRACTIONS: Final = phrases(
    "not|no|nope|false|wrong|kidding|scratch that|never mind|that is false|that is not true|that is wrong|"
    "this is false|this is not true|that is lie|this is lie|none of this is true|none of that is true|"
    "not really|that was wrong|that was joke|joke|am kidding|that was lie|which is false|which is lie|which is wrong|"
    "which is untrue|which is not so|which is not true|disregard that|ignore that"
)
"""A part that takes back what was said before it, without fillers."""
PRONOUNS: Final = listed("it they this that these those he she everything something all nobody somebody")
