"""Commands that take the host with them: its files, disks, power, protection, and what others share.

Guarantees: each rule looks at one command with its arguments: ``words[0]`` is the command, at least one more follows.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from wingman_core.instruction.commands import Segment, Word, flags_of, subcommand
from wingman_core.instruction.findings import Suspect, suspect
from wingman_core.instruction.vocabulary import words

Rule = Callable[[Sequence[Word]], Iterator[Suspect]]

POWER: Final = frozenset({"shutdown", "reboot", "poweroff", "halt"})
_SYSTEM_PATH: Final = re.compile(
    r"(?:/(?:bin|boot|dev|etc|home|lib|lib32|lib64|mnt|opt|proc|root|run|sbin|srv|sys|usr|var|var/lib|var/lib/docker)?"
    r"/?\*?|~/?\*?|\$HOME/?\*?|\.|\.\.|\./?\*|\*)"
)
_DEVICE: Final = re.compile(r"/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|mapper/|md|dm-|disk/|loop)")
_EVERYBODY: Final = re.compile(r"[0-7]?777|(?:a|ugo|o)?\+r?wx?")
_GUARDIANS: Final = words("docker docker.service docker.socket containerd ssh sshd auditd firewalld ufw")
_TIME: Final = re.compile(r"now|\+[0-9]+|[0-9]{1,2}:[0-9]{2}|-[hrPHkf]+|0")


def power(segment: Segment, at: int) -> Iterator[Suspect]:
    """Yield what stops the host: with a time or a flag, behind sudo, or where it is all that a command says."""
    word = segment.words[at]
    following = next(segment.arguments(at), None)
    before = segment.words[at - 1].name if at else ""
    is_command = at == len(segment.words) - 1 and (not at or before in {"$", "#", "-", "*"})
    told = following is not None and _TIME.fullmatch(following.text)
    if told or before in {"sudo", "doas", "systemctl"} or (is_command and word.text == word.name):
        yield suspect("host-power", word, "it stops or restarts the host")


def _rm(words: Sequence[Word]) -> Iterator[Suspect]:
    flags = {flag for _, flag in flags_of(words[1:])}
    whole = [word for word in words[1:] if _SYSTEM_PATH.fullmatch(word.text)]
    if whole and flags & {"-r", "-R", "--recursive"}:
        yield suspect("delete-system-path", whole[0], "it deletes a whole system directory, or all there is")


def _find(words: Sequence[Word]) -> Iterator[Suspect]:
    deletes = any(word.text == "-delete" or word.name == "rm" for word in words)
    if deletes and words[1].text[0] in "/~$" and _SYSTEM_PATH.fullmatch(words[1].text):
        yield suspect("delete-system-path", words[1], "it deletes below a system directory")


def _permissions(words: Sequence[Word]) -> Iterator[Suspect]:
    """Yield modes that let everybody write, and a whole system directory's owner or mode."""
    flags = {flag for _, flag in flags_of(words[1:])}
    rest = [word for word in words[1:] if not word.text.startswith("-")]
    if words[0].name == "chmod" and rest and _EVERYBODY.fullmatch(rest[0].text):
        yield suspect("world-writable", rest[0], "it lets everybody write")
    elif flags & {"-R", "--recursive"} and any(_SYSTEM_PATH.fullmatch(word.text) for word in rest[1:]):
        yield suspect("system-permissions", words[0], "it changes the permissions of a whole system directory")


def _mkfs(words: Sequence[Word]) -> Iterator[Suspect]:
    if words[1].text[0] in "-/":
        yield suspect("disk-format", words[0], "it formats a disk")


def _disk(words: Sequence[Word]) -> Iterator[Suspect]:
    """Yield what writes to a block device; dd reads one with ``if=``."""
    for word in words[1:]:
        target = word.text.removeprefix("of=")
        if _DEVICE.match(target) and (words[0].name != "dd" or target != word.text):
            yield suspect("device-write", word, "it overwrites a disk")
            return


def _init(words: Sequence[Word]) -> Iterator[Suspect]:
    if words[1].text in {"0", "6"}:
        yield suspect("host-power", words[0], "it stops or restarts the host")


def _firewall(words: Sequence[Word]) -> Iterator[Suspect]:
    told = {word.text for word in words[1:]}
    if told & {"-F", "-X", "--flush", "flush", "disable", "reset"} or {"-P", "ACCEPT"} <= told:
        yield suspect("protection-off", words[0], "it takes the firewall down")


def _setenforce(words: Sequence[Word]) -> Iterator[Suspect]:
    if words[1].text.lower() in {"0", "permissive"}:
        yield suspect("protection-off", words[0], "it switches a protection of the host off")


def _service(words: Sequence[Word]) -> Iterator[Suspect]:
    told = {word.text.lower() for word in words[1:]}
    if told & {"stop", "disable", "mask", "kill"} and told & _GUARDIANS:
        yield suspect("protection-off", words[0], "it stops what the host is run or guarded by")


def _crontab(words: Sequence[Word]) -> Iterator[Suspect]:
    if any(word.text == "-r" for word in words):
        yield suspect("crontab-removed", words[0], "it removes every scheduled job")


def _kill(words: Sequence[Word]) -> Iterator[Suspect]:
    told = [word.text for word in words[1:]]
    if told and (told[-1] == "1" or (told[-1] == "-1" and len(told) > 1)):
        yield suspect("kill-everything", words[-1], "it kills the first process, or all of them")


def _git(words: Sequence[Word]) -> Iterator[Suspect]:
    below = list(subcommand(words[1:]))
    flags = {flag for _, flag in flags_of(below)}
    verb = below[0].name if below else ""
    if verb == "reset" and "--hard" in flags:
        yield suspect("git-discard", below[0], "it discards uncommitted work for good")
    elif verb == "filter-branch" or (verb == "push" and "--mirror" in flags):
        yield suspect("git-rewrite", below[0], "it rewrites what others share")


def _cluster(words: Sequence[Word]) -> Iterator[Suspect]:
    told = {word.text.lower() for word in words[1:]}
    if "destroy" in told or ("delete" in told and told & {"namespace", "ns", "--all", "--all-namespaces", "pv"}):
        yield suspect("cluster-delete", words[0], "it deletes a whole namespace, or all that is managed there")


def _dropdb(words: Sequence[Word]) -> Iterator[Suspect]:
    yield suspect("sql-drop", words[0], "it drops a database")


RULES: Final[Mapping[str, Rule]] = {
    "rm": _rm,
    "find": _find,
    **dict.fromkeys(("chmod", "chown", "chgrp"), _permissions),
    "mkfs": _mkfs,
    **dict.fromkeys(("dd", "wipefs", "shred", "blkdiscard", "fdisk", "parted"), _disk),
    **dict.fromkeys(("init", "telinit"), _init),
    **dict.fromkeys(("iptables", "ip6tables", "nft", "ufw"), _firewall),
    "setenforce": _setenforce,
    **dict.fromkeys(("systemctl", "service"), _service),
    "crontab": _crontab,
    "kill": _kill,
    "git": _git,
    **dict.fromkeys(("kubectl", "terraform", "tofu"), _cluster),
    "dropdb": _dropdb,
}


NEEDLES: Final = (
    *("rm -", "rm  ", '"rm"', "'rm'", "find /", "find ~", "find . ", "find  ", "chmod", "chown", "chgrp", "mkfs"),
    *("/dev/", "wipefs", "blkdiscard", *POWER, "init 0", "init 6", "iptables", "ip6tables", "nft ", "ufw "),
    *("setenforce", "systemctl", "service docker", "service ssh", "service containerd", "crontab", "dropdb"),
    *("git reset", "git push", "git filter", "git -", "terraform", "tofu ", "kubectl", "kill -", "kill 1"),
)
"""In lower case; a line without one has nothing for these rules."""


def rule_for(name: str) -> Rule | None:
    """Return the rule for a command's name."""
    return RULES.get(name) or (_mkfs if name.startswith("mkfs.") else None)
