"""Options of ``ps`` that ``docker top`` may pass on.

The engine runs ``ps`` with them on the host itself, so they are a closed list. Most of all, none may reach the
BSD option ``e``, which prints the environment of every process: not as a cluster without a dash, nor by a cluster
with one that procps cannot read as UNIX options and then reads again as BSD ones (procps-ng ``ps/parser.c``).
"""

from typing import Final

from wingman_core.command.values import BadValue

_CLUSTERS_WORDS: Final = """
    -e -A -a -d -f -F -l -ef -eF -el -ely -elf -efl -eLf -efL -ejH -efH -efww a ax au aux axu auxf auxw auxww axf
    axl axj axjf axv u ux x
"""
_CLUSTERS: Final = frozenset(_CLUSTERS_WORDS.split())
_FIELD_FLAGS: Final = frozenset({"-o", "-eo", "o", "axo"})
_FIELDS_WORDS: Final = """
    %cpu %mem c class cls comm command cmd args cputime cputimes egid egroup etime etimes euid euser fgid fgroup
    flags fname fuid fuser gid group lstart lwp majflt maj_flt min_flt minflt ni nice nlwp nwchan pcpu pgid pgrp pid
    pmem policy ppid pri psr rgid rgroup rss rssize rsz rtprio ruid ruser s sess sgi_p sgroup sid size spid stackp
    start start_time stat state stime suid suser sz thcount tid time tname tpgid tt tty ucmd ucomm uid uname user
    vsize vsz wchan
"""
_FIELDS: Final = frozenset(_FIELDS_WORDS.split())


def ps_options(words: tuple[str, ...]) -> tuple[str, ...]:
    """Read one cluster of options, or a list of fields with or without one; raise ``BadValue``."""
    match words:
        case ():
            return ()
        case (cluster,) if cluster in _CLUSTERS:
            return words
        case (flag, fields) if flag in _FIELD_FLAGS and _are_fields(fields):
            return words
        case _:
            raise BadValue(
                "ps runs on the host, so its options are a closed list: such as -ef, aux, or -o pid,ppid,args"
            )


def _are_fields(text: str) -> bool:
    names = text.split(",")
    return set(names) <= _FIELDS and "pid" in names
