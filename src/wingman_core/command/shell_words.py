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
from collections.abc import Iterator, Sequence
from typing import Final

from wingman_core.command.frozen import Pairs
from wingman_core.command.lexer import SHELL_CHARACTERS

_SYNTAX: Final = SHELL_CHARACTERS | frozenset("\"'\\")

_INTERPRETERS_WORDS: Final = """
    sh bash rbash dash ash zsh ksh mksh pdksh oksh yash fish csh tcsh elvish xonsh pwsh powershell busybox toybox
    python pypy ipython perl ruby irb node nodejs deno bun php lua luajit tclsh wish expect guile racket erl elixir
    iex escript ghci runghc rscript octave julia java jshell groovy scala dotnet mono awk gawk mawk nawk nsenter
    chroot unshare micropython runcon bwrap qemu
    original-awk docker podman nerdctl ctr crictl kubectl runc crun posh lksh rksh sash hush lash msh bsh git-shell
    php-cgi php-fpm phpdbg ts-node tsx jruby truffleruby mruby jython graalpy ocaml sbcl clisp ecl clojure raku perl6
    qjs rhino swipl crystal coffee jimsh gst tcc osh ysh scsh execlineb d8 duk mujs tjs wasmtime wasmer iwasm ghc
    runhaskell rdmd gforth newlisp gosh babashka
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
    ion hy bb csi hermes abcl gash wsh pkexec run0 sudoedit execline envdir envuidgid setuidgid softlimit setlock
    multilog s6-setlock s6-softlimit s6-envdir proxychains proxychains4 torsocks torify tsocks faketime eatmydata
    cpulimit gcc g++ cc c++ cpp clang ldd split tcpdump gs gnuplot pdflatex latex xelatex lualatex luatex tex cmake
    bazel scons ant sbt lein mix joe jed mg micro kak hx ne pico pager w3m lynx elinks mutt mail mailx rabbitmqctl
    uwsgi ansible ansible-playbook salt-call puppet terraform dpkg-reconfigure update-alternatives watchexec nodemon
    jupyter spark-submit pyspark drush composer jrunscript jdb jjs cqlsh sqlplus isql clickhouse mysqlsh influx
    dbus-send busctl gdbserver rr catchsegv debugfs
"""
_RUNNERS: Final = frozenset(_RUNNERS_WORDS.split())

_VARIABLES_WORDS: Final = """
    BASH_ENV PROMPT_COMMAND PS4 PERL5OPT PERL5DB RUBYOPT PYTHONSTARTUP PYTHONBREAKPOINT PYTHONINSPECT
    GIT_SSH GIT_SSH_COMMAND GIT_PROXY_COMMAND GIT_EXTERNAL_DIFF GIT_PAGER GIT_EDITOR GIT_ASKPASS GIT_EXEC_PATH
    GCONV_PATH PAGER MANPAGER EDITOR VISUAL LESSOPEN LESSCLOSE BROWSER SHELL IFS SSH_ASKPASS SUDO_ASKPASS SUDO_EDITOR
"""
_VARIABLES: Final = frozenset(_VARIABLES_WORDS.split())
"""Common ones that code sets for itself too, such as PYTHONPATH and NODE_OPTIONS, are not among them."""
_VERSION: Final = re.compile(r"[-_.]?[0-9][0-9.]*[a-z]{0,2}$")
_VARIANT: Final = re.compile(
    r"(?:[-._](?:real|orig|old|bak|static|tiny|basic|nox|gtk3?|openbsd|traditional|distrib|dbg|debug|beta[0-9]*|x86_64|aarch64|"
    r"[a-z0-9_]+-linux-(?:gnu|musl)[a-z]*))+$"
)
_LOADER: Final = re.compile(r"ld(?:-linux|-musl|64|)[a-z0-9_.-]*\.so(?:\.[0-9]+)*")
_OPEN_FILES: Final = ("/proc/", "//proc/", "/dev/", "//dev/")
"""Among them the runtime's own program (CVE-2019-5736)."""
_STARTS: Final = re.compile(
    r"--?(?:[a-z0-9]+-)*(?:exec|execute|eval|compress-program|to-command|checkpoint-action|askpass|shell-escape|wrapper|rsh)"
    r"(?:=.*)?"
)
_SEPARATORS: Final = re.compile(r"[\s=:,]+")
_LONGEST_NAME: Final = 64
_SCRIPTS: Final = tuple(
    f".{ending}"
    for ending in (
        *("sh", "bash", "zsh", "ksh", "csh", "fish", "py", "pyc", "pl", "rb", "js", "mjs", "cjs", "ts", "php", "lua"),
        *("tcl", "awk", "ps1", "jar", "r", "exs", "groovy", "scala", "kts", "raku", "hs", "scm", "el", "wasm", "class"),
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
        elif position == 0 and posixpath.normpath(word).startswith(_OPEN_FILES):
            found.append(f"{word!a} is whatever is open or runs there")
        elif _STARTS.fullmatch(word.casefold()):
            found.append(f"{word!a} has a program started")
    return tuple(dict.fromkeys(found))


def variables(env: Pairs) -> Iterator[str]:
    """Yield each variable of a program's environment that has code loaded, or another program started."""
    yield from (f"{name} has code loaded or a program started" for name, _ in env if _has_code_run(name))


def _has_code_run(name: str) -> bool:
    return name.upper() in _VARIABLES or name.startswith(("LD_", "DYLD_", "BASH_FUNC_"))


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
