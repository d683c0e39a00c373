"""Whether an argument carries shell syntax, or starts a program that interprets its arguments.

Fails towards present (I4): an interpreter counts wherever it stands, because a program that is not known here may
run its arguments (``tool --command=sh``); so ``ls /usr/bin/perl`` counts as well. A program that runs others, or
has a language of its own, counts where it is started.

Does not: look into the image. This is a list of known names, with their versions and the variants of common
distributions: an interpreter under another name, a script without a known ending, and whatever else a program of
the image does by itself are not recognised. Policy for what must never run belongs on the image and the container.
"""

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from wingman_core.command.lexer import SHELL_CHARACTERS

_SYNTAX: Final = SHELL_CHARACTERS | frozenset("\"'\\")

_INTERPRETERS_WORDS: Final = """
    sh bash rbash dash ash zsh ksh mksh pdksh oksh yash fish csh tcsh elvish xonsh pwsh powershell busybox toybox
    python pypy ipython perl ruby irb node nodejs deno bun php lua luajit tclsh wish expect guile racket erl elixir
    iex escript ghci runghc rscript octave julia java jshell groovy scala dotnet mono awk gawk mawk nawk nsenter
    chroot unshare micropython runcon bwrap qemu
    original-awk docker podman nerdctl ctr crictl kubectl runc crun posh lksh rksh sash hush lash msh bsh git-shell
    php-cgi php-fpm phpdbg ts-node tsx jruby truffleruby mruby jython graalpy ocaml sbcl clisp ecl clojure raku perl6
    qjs rhino swipl crystal coffee jimsh gst tcc
"""
_INTERPRETERS: Final = frozenset(_INTERPRETERS_WORDS.split())

_RUNNERS_WORDS: Final = """
    rc es nu cmd r swift kotlin scheme sed ed ex vi vim vimdiff view nvim emacs nano m4 bc dc make gmake ninja gdb lldb
    sqlite psql mysql mariadb mongo mongosh redis-cli valkey-cli ftp lftp telnet env xargs parallel find exec eval
    source command nohup timeout nice ionice chrt taskset stdbuf setsid setarch linux32 linux64 pivot_root capsh
    setpriv runuser su sudo doas gosu su-exec chpst s6-setuidgid tini dumb-init catatonit script screen tmux watch
    time strace ltrace flock start-stop-daemon systemd-run at batch crontab crond cron ssh sshpass rsync scp sftp
    socat nc ncat netcat git tar cpio zip less more man npm npx yarn pnpm pip gem cargo go mvn gradle openssl
    run-parts logrotate dpkg rpm apt apt-get apk yum dnf ld.so ip unbuffer fakeroot fakechroot proot daemon daemonize
    x86_64 i386 i686 service systemctl rc-service invoke-rc.d runsv runsvdir sv supervisord supervisorctl pm2 entr
    dbus-run-session dbus-launch ssh-agent xvfb-run valgrind perf numactl cgexec prlimit choom newgrp sg firejail
    minijail0 nsjail systemd-nspawn machinectl chronic uv uvx pipx bundle rake
"""
_RUNNERS: Final = frozenset(_RUNNERS_WORDS.split())

_VERSION: Final = re.compile(r"[-_.]?[0-9][0-9.]*[a-z]?$")
_VARIANT: Final = re.compile(
    r"(?:[-._](?:real|orig|old|bak|static|tiny|basic|nox|gtk3?|openbsd|traditional|distrib|dbg|debug|beta[0-9]*|x86_64|aarch64|"
    r"[a-z0-9_]+-linux-(?:gnu|musl)[a-z]*))+$"
)
_LOADER: Final = re.compile(r"ld(?:-linux|-musl|64|)[a-z0-9_.-]*\.so(?:\.[0-9]+)*")
_SEPARATORS: Final = re.compile(r"[\s=:,]+")
_LONGEST_NAME: Final = 64
_SCRIPTS: Final = tuple(
    f".{ending}"
    for ending in (
        *("sh", "bash", "zsh", "ksh", "csh", "fish", "py", "pyc", "pl", "rb", "js", "mjs", "cjs", "ts", "php", "lua"),
        *("tcl", "awk", "ps1", "jar"),
    )
)


def shell_words(command: Sequence[str]) -> tuple[str, ...]:
    """Return why each word of a program's arguments counts, in order, without repeats."""
    found: list[str] = []
    for position, word in enumerate(command):
        if characters := "".join(sorted(set(word) & _SYNTAX)):
            found.append(f"shell syntax {characters} in {word!a}")
        elif name := _interpreter(word):
            found.append(f"interpreter {name}")
        elif position == 0 and _is(_name(word), _RUNNERS):
            found.append(f"{_name(word)!a} can start other programs")
        elif position == 0 and _name(word).endswith(_SCRIPTS):
            found.append(f"script {word!a}")
    return tuple(dict.fromkeys(found))


def _interpreter(word: str) -> str:
    """Return the interpreter that a word names, also after ``=`` or inside words with spaces; or empty."""
    for part in _SEPARATORS.split(word):
        name = _name(part)
        if _is(name, _INTERPRETERS) or (len(name) <= _LONGEST_NAME and _LOADER.fullmatch(name)):
            return ascii(name)
    return ""


def _is(name: str, programs: frozenset[str]) -> bool:
    """Whether the name is one of the programs, with or without a version or a distribution's variant behind it."""
    if len(name) > _LONGEST_NAME:
        return False
    plain = _VARIANT.sub("", name)
    return not programs.isdisjoint({name, plain, _VERSION.sub("", plain)})


def _name(word: str) -> str:
    return posixpath.basename(word.rstrip("/")).casefold().removesuffix(".exe")
