"""Named attempts to get past the parser: each is refused by its code, or shows its true face in the facts."""

import pytest

from wingman_core.command import facts, parse
from wingman_core.errors import Code, CommandRefused

REFUSED = {
    # Another program, or another engine.
    "a shell around it": ("sh -c 'docker ps'", Code.COMMAND_NOT_DOCKER),
    "sudo": ("sudo docker ps", Code.COMMAND_NOT_DOCKER),
    "a path": ("/usr/bin/docker ps", Code.COMMAND_NOT_DOCKER),
    "a relative path": ("./docker ps", Code.COMMAND_NOT_DOCKER),
    "another case": ("Docker ps", Code.COMMAND_NOT_DOCKER),
    "a space in the name": ("'docker ' ps", Code.COMMAND_NOT_DOCKER),
    "a variable before it": ("DOCKER_HOST=tcp://evil:2375 docker ps", Code.COMMAND_NOT_DOCKER),
    "podman": ("podman ps", Code.COMMAND_NOT_DOCKER),
    "an empty word before it": ("'' docker ps", Code.COMMAND_NOT_DOCKER),
    "cyrillic o": ("d\u043ecker ps", Code.COMMAND_NOT_DOCKER),
    "another host": ("docker -H tcp://evil:2375 ps", Code.COMMAND_GLOBAL_FLAG),
    "another host, glued": ("docker -Htcp://evil:2375 ps", Code.COMMAND_GLOBAL_FLAG),
    "another host, long": ("docker --host=tcp://evil:2375 ps", Code.COMMAND_GLOBAL_FLAG),
    "another host, behind": ("docker ps --host=tcp://evil:2375", Code.COMMAND_GLOBAL_FLAG),
    "another host, between": ("docker container -H tcp://evil:2375 ls", Code.COMMAND_GLOBAL_FLAG),
    "another context": ("docker --context evil ps", Code.COMMAND_GLOBAL_FLAG),
    "another context, short": ("docker -cevil ps", Code.COMMAND_GLOBAL_FLAG),
    "another configuration": ("docker --config /tmp/evil ps", Code.COMMAND_GLOBAL_FLAG),
    "other certificates": ("docker --tlscacert=/tmp/evil ps", Code.COMMAND_GLOBAL_FLAG),
    "debug bundled": ("docker -DH tcp://evil ps", Code.COMMAND_GLOBAL_FLAG),
    "version": ("docker --version", Code.COMMAND_GLOBAL_FLAG),
    # Shell syntax in the line.
    "a second command": ("docker ps; docker rm -f web", Code.COMMAND_CHARACTER),
    "and": ("docker ps && docker rm web", Code.COMMAND_CHARACTER),
    "background": ("docker ps &", Code.COMMAND_CHARACTER),
    "a pipe": ("docker ps | sh", Code.COMMAND_CHARACTER),
    "substitution": ("docker rm $(docker ps -q)", Code.COMMAND_CHARACTER),
    "backticks": ("docker rm `docker ps -q`", Code.COMMAND_CHARACTER),
    "backticks in double quotes": ('docker rm "`docker ps -q`"', Code.COMMAND_CHARACTER),
    "substitution in double quotes": ('docker exec web echo "$(id)"', Code.COMMAND_CHARACTER),
    "a variable": ("docker stop $HOME", Code.COMMAND_CHARACTER),
    "redirection": ("docker logs web > /etc/passwd", Code.COMMAND_CHARACTER),
    "a glob": ("docker rm *", Code.COMMAND_CHARACTER),
    "a question mark": ("docker stop we?", Code.COMMAND_CHARACTER),
    "brackets": ("docker stop [a-z]", Code.COMMAND_CHARACTER),
    "braces": ("docker stop {a,b}", Code.COMMAND_CHARACTER),
    "home": ("docker run -v ~/x:/x busybox", Code.COMMAND_CHARACTER),
    "a comment": ("docker ps # harmless", Code.COMMAND_CHARACTER),
    "history": ("docker ps !!", Code.COMMAND_CHARACTER),
    "a second line": ("docker ps\ndocker rm -f web", Code.COMMAND_CHARACTER),
    "a carriage return that hides the line": ("docker rm -f web\rdocker ps", Code.COMMAND_CHARACTER),
    "a NUL that ends the line early": ("docker ps\0 docker rm", Code.COMMAND_CHARACTER),
    "an escape sequence that repaints": ("docker exec web echo '\x1b[2K'", Code.COMMAND_CHARACTER),
    "a bidirectional override": ("docker stop 'bew\u202e'", Code.COMMAND_CHARACTER),
    "an invisible separator": ("docker stop web\u200b", Code.COMMAND_CHARACTER),
    "a look-alike dash": ("docker rm \u2013f web", Code.COMMAND_CHARACTER),
    "a look-alike quote": ("docker exec web echo \u2018a\u2019", Code.COMMAND_CHARACTER),
    "a no-break space": ("docker\u00a0ps", Code.COMMAND_CHARACTER),
    "a continued line": ("docker ps \\\n-a", Code.COMMAND_CHARACTER),
    "an open quote": ("docker exec web echo 'a", Code.COMMAND_QUOTING),
    "a trailing backslash": ("docker ps \\", Code.COMMAND_QUOTING),
    # Verbs and flags by other names.
    "an abbreviated verb": ("docker res web", Code.COMMAND_UNKNOWN),
    "an abbreviated flag": ("docker restart --tim 5 web", Code.COMMAND_FLAG),
    "a verb in another case": ("docker RM web", Code.COMMAND_UNKNOWN),
    "a verb with a space": ("docker 'rm web'", Code.COMMAND_UNKNOWN),
    "an empty verb": ("docker ''", Code.COMMAND_UNKNOWN),
    "a plugin": ("docker ../../tmp/evil", Code.COMMAND_UNKNOWN),
    "copying out": ("docker cp web:/etc/passwd -", Code.COMMAND_REFUSED),
    "exporting": ("docker container export web", Code.COMMAND_REFUSED),
    "committing": ("docker commit web", Code.COMMAND_REFUSED),
    "building": ("docker build .", Code.COMMAND_REFUSED),
    "attaching": ("docker attach web", Code.COMMAND_REFUSED),
    "logging in": ("docker login -u a -p b", Code.COMMAND_REFUSED),
    "a swarm": ("docker swarm init", Code.COMMAND_REFUSED),
    "a service": ("docker service create busybox", Code.COMMAND_REFUSED),
    "a plugin's install": ("docker plugin install evil", Code.COMMAND_REFUSED),
    "a terminal": ("docker exec -it web sh", Code.COMMAND_FLAG),
    "a terminal, reordered": ("docker exec -ti web sh", Code.COMMAND_FLAG),
    "a terminal, hidden in a bundle": ("docker run -dit busybox", Code.COMMAND_FLAG),
    "an endless read": ("docker logs -f web", Code.COMMAND_FLAG),
    "an endless read, bundled": ("docker logs -tf web", Code.COMMAND_FLAG),
    "endless statistics": ("docker stats", Code.COMMAND_VALUE),
    "endless statistics, switched back on": ("docker stats --no-stream --no-stream=false", Code.COMMAND_VALUE),
    "a client's file as environment": ("docker run --env-file /etc/shadow busybox", Code.COMMAND_FLAG),
    "the gateway's environment": ("docker run -e WINGMAN_TOKEN_KEY busybox", Code.COMMAND_VALUE),
    "a client's file as profile": ("docker run --security-opt seccomp=/etc/shadow busybox", Code.COMMAND_VALUE),
    "a file written by the client": ("docker run --cidfile /etc/cron.d/x busybox", Code.COMMAND_FLAG),
    "the API socket by flag": ("docker run --use-api-socket busybox", Code.COMMAND_FLAG),
    "every GPU": ("docker run --gpus all busybox", Code.COMMAND_FLAG),
    # Values that would reach a URL, a path or another object.
    "another endpoint": ("docker stop web/../../images/prune", Code.COMMAND_VALUE),
    "a query": ("docker stop 'web?signal=KILL'", Code.COMMAND_VALUE),
    "an encoded slash": ("docker stop web%2f..%2fdb", Code.COMMAND_VALUE),
    "a fragment": ("docker stop 'web#'", Code.COMMAND_VALUE),
    "a leading slash": ("docker stop /web", Code.COMMAND_VALUE),
    "a dash as a name": ("docker stop -- -f", Code.COMMAND_VALUE),
    "a space around a name": ("docker stop ' web'", Code.COMMAND_VALUE),
    "one object twice": ("docker restart web web", Code.COMMAND_VALUE),
    "one image twice": ("docker image inspect busybox docker.io/library/busybox", Code.COMMAND_VALUE),
    "a relative bind": ("docker run -v ../../etc:/x busybox", Code.COMMAND_VALUE),
    "a quoted mount": ("docker run --mount 'type=tmpfs,\"dst=/x,type=bind,src=/\"' busybox", Code.COMMAND_VALUE),
    "a network path": ("docker run --network ns:/proc/1/ns/net busybox", Code.COMMAND_VALUE),
    "a way up behind a link": ("docker exec -w /srv/link/../x web ls", Code.COMMAND_VALUE),
    "an overflowing uid": ("docker exec -u 4294967296 web id", Code.COMMAND_VALUE),
    "digits of another script": ("docker exec -u \u0660 web id", Code.COMMAND_VALUE),
    "a label of Wingman's": ("docker run -l wingman.execution=exe_x busybox", Code.COMMAND_VALUE),
    "a label of Wingman's on a volume": (
        "docker run --mount src=data,dst=/d,volume-label=wingman.execution=exe_x busybox",
        Code.COMMAND_VALUE,
    ),
    "a label of Wingman's on a volume, without a value": (
        "docker run --mount src=data,dst=/d,volume-label=wingman.role busybox",
        Code.COMMAND_VALUE,
    ),
    "a label without ink before it": ("docker run -l ' wingman.role=x' busybox", Code.COMMAND_VALUE),
    "a template": ("docker inspect -f '{{.Config.Env}}' web", Code.COMMAND_VALUE),
    "the environment by ps": ("docker top web axe", Code.COMMAND_VALUE),
    "the environment by ps, with a dash": ("docker top web -axe", Code.COMMAND_VALUE),
    "an image of ids to pull": ("docker pull " + "ab" * 32, Code.COMMAND_VALUE),
    "an image in capitals": ("docker run BusyBox", Code.COMMAND_VALUE),
    "a weak digest": ("docker pull busybox@md5:" + "ab" * 16, Code.COMMAND_VALUE),
    "an endless stop": ("docker stop -t -1 web", Code.COMMAND_VALUE),
    "two grace periods": ("docker stop --time 1 --timeout 600 web", Code.COMMAND_FLAG),
    # Size.
    "a long line": ("docker exec web echo " + "a" * 4096, Code.COMMAND_TOO_LONG),
    "many words": ("docker exec web " + "a " * 127, Code.COMMAND_TOO_LONG),
    "a line that grows when written out": ("docker exec web " + "\\;" * 1500, None),
    "flags that grow when written out": ("docker run " + "-e a=\\' " * 60 + "busybox", None),
    "words that grow when written out": (
        "docker rm -f -v " + " ".join(f"c{n}" for n in range(125)),
        Code.COMMAND_TOO_LONG,
    ),
    "short flags written long": ("docker run " + "-lx " * 100 + "-lx=y busybox", None),
    "bytes that grow in quotes": ("docker exec web x " + "\\'" * 2000, Code.COMMAND_TOO_LONG),
}


@pytest.mark.parametrize("name", [name for name, (_, code) in REFUSED.items() if code])
def test_it_is_refused(name: str):
    text, code = REFUSED[name]
    with pytest.raises(CommandRefused) as refusal:
        parse(text)
    assert refusal.value.code is code
    assert refusal.value.hint
    assert str(refusal.value).isascii()
    assert str(refusal.value).isprintable()
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("name", [name for name, (_, code) in REFUSED.items() if not code])
def test_it_only_looks_long(name: str):
    assert parse(REFUSED[name][0])


PRIVILEGED = {
    "the flag": "--privileged",
    "the flag, said last": "--privileged=false --privileged=1",
    "the flag, as T": "--privileged=T",
    "a capability": "--cap-add SYS_ADMIN",
    "a capability in other letters": "--cap-add=cap_sys_admin",
    "all capabilities": "--cap-add all",
    "a device": "--device /dev/sda",
    "a device rule": "--device-cgroup-rule 'b 8:* rwm'",
    "host processes": "--pid host",
    "host network": "--network host",
    "host network by the old name": "--net=host",
    "host network in capitals of the long form": "--network name=HOST,driver-opt=a=b",
    "host network, joined second": "--network none --network host",
    "host memory": "--ipc=host",
    "host name": "--uts host",
    "host users": "--userns=host",
    "host cgroups": "--cgroupns host",
    "another container's processes": "--pid container:db",
    "another container's network": "--network container:db",
    "another container's memory": "--ipc container:db",
    "no seccomp": "--security-opt seccomp:unconfined",
    "no apparmor": "--security-opt apparmor=unconfined",
    "no masked paths": "--security-opt systempaths=unconfined",
    "new privileges": "--security-opt no-new-privileges:false",
    "a bind": "-v /srv:/srv",
    "a read-only bind": "-v /srv:/srv:ro",
    "a bind by mount": "--mount type=bind,src=/srv,dst=/srv",
    "a bind by mount in capitals": "--mount TYPE=BIND,SRC=/srv,DST=/srv",
    "the type given twice": "--mount type=tmpfs,src=/srv,dst=/srv,type=bind",
    "a volume that is a bind": "--mount src=data,dst=/x,volume-opt=type=none,volume-opt=device=/,volume-opt=o=bind",
    "a volume of a plugin": "--mount type=volume,src=data,dst=/x,volume-driver=sshfs",
    "volumes of a plugin": "--volume-driver sshfs -v data:/x",
    "the socket": "-v /var/run/docker.sock:/x",
    "the socket, the long way round": "-v /srv/..//run/./docker.sock:/x:ro",
    "the socket's directory": "--mount type=bind,src=/run/,dst=/x",
    "everything": "-v //:/host",
    "root": "--user root",
    "root by number": "-u 0",
    "root by many zeros": "-u000:1000",
    "root by group": "-u 1000:0",
    "root by group's name": "--user=1000:root",
    "root as a further group": "--group-add 0",
    "another runtime": "--runtime crun",
    "a runtime's annotation": "--annotation run.oci.keep_original_groups=1",
    "another cgroup": "--cgroup-parent /",
    "logs to a socket": "--log-driver fluentd --log-opt fluentd-address=unix:///run/docker.sock",
    "an option that no local log has": "--log-opt syslog-address=tcp://evil",
    "an engine by address": "-e docker_host=tcp://172.17.0.1:2375",
    "immunity from the OOM killer": "--oom-kill-disable",
    "preference of the OOM killer": "--oom-score-adj=-1000",
    "real time": "--cpu-rt-runtime 950000",
    "real time by ulimit": "--ulimit rtprio=99",
    "real time by ulimit, later": "--ulimit rtprio=0:1",
    "real time by ulimit, without a bound": "--ulimit rtprio=-1",
    "priority over others by ulimit": "--ulimit nice=21",
    "priority over others by ulimit, without a bound": "--ulimit nice=0:-1",
}


@pytest.mark.parametrize("name", PRIVILEGED)
def test_it_is_told_as_a_privilege(name: str):
    found = facts(parse(f"docker run {PRIVILEGED[name]} busybox"))
    assert found.privileges
    assert all(line.strip() for line in found.privileges)


HARMLESS = (
    "",
    "-d --name web --restart always -p 127.0.0.1:8080:80 -m 512m --cpus 1.5 --pids-limit 100",
    "--privileged --privileged=false",
    "--cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /tmp",
    "-v data:/data -v /anonymous --mount type=tmpfs,dst=/t --mount type=volume,src=data,dst=/v,volume-driver=local",
    "--network none",
    "--network shop --network-alias web --ipc private --cgroupns private",
    "-u 1000:1000 -u nginx --group-add 44",
    "--log-driver json-file --log-opt max-size=10m --log-opt max-file=3",
    "--ulimit rtprio=0 --ulimit nice=20 --ulimit nproc=-1",
    "--oom-score-adj 500 --ulimit nofile=1024 --sysctl net.core.somaxconn=1024 --shm-size 64m",
    "-e PATH=/bin -e DOCKER=1 -e ENV=prod -e NODE_OPTIONS=x -e PYTHONPATH=/app -e OLD_PAGER=x",
    "-w /process -v data:/device --tmpfs /dev/shm --mount type=tmpfs,dst=/dev/shm/x -v data:/system",
    "--network name=lan,driver-opt=com.docker.network.endpoint.ifname=eth7",
)


@pytest.mark.parametrize("flags", HARMLESS)
def test_the_ordinary_is_no_privilege(flags: str):
    found = facts(parse(f"docker run {flags} busybox"))
    assert (found.privileges, found.shell) == ((), ())


INTERPRETED = {
    "a shell": "sh",
    "a shell by its path": "/bin/sh -c id",
    "a shell with a version": "bash-5.2 x",
    "a shell in capitals": "/BIN/SH x",
    "a shell's directory trick": "/usr/../bin//sh x",
    "a shell with a slash behind": "sh/ x",
    "busybox": "busybox sh",
    "python": "python3.11 -c 'print(1)'",
    "perl": "perl -e 1",
    "node": "node18 -e 1",
    "awk": "awk 1",
    "the loader": "/lib64/ld-linux-x86-64.so.2 /x",
    "the loader of musl": "/lib/ld-musl-x86_64.so.1 /x",
    "env": "env FOO=1 /x",
    "env in front": "/usr/bin/env -S 'x y'",
    "xargs": "xargs /x",
    "find": "find / -exec /x",
    "timeout": "timeout 5 /x",
    "an unknown wrapper": "mywrap -- sh",
    "an unknown wrapper's option": "mytool --shell=/bin/bash",
    "an unknown wrapper's list": "mytool a,sh,b",
    "a word that is a line": "mytool 'run sh now'",
    "a script": "/app/backup.sh",
    "a python script": "./manage.py migrate",
    "a script in capitals": "/APP/BACKUP.SH",
    "a variable": "echo '$HOME'",
    "a substitution": "echo '$(id)'",
    "backticks": "echo '`id`'",
    "a pipe": "echo 'a|b'",
    "a redirection": "echo 'a>b'",
    "a list": "echo 'a;b'",
    "a glob": "ls '*.conf'",
    "a tilde": "ls '~'",
    "a quote": 'echo "it\'s"',
    "a backslash": "echo 'a\\nb'",
    "su": "su nobody",
    "nsenter": "nsenter -t 1 -m",
    "chroot": "chroot /host",
    "docker itself": "docker ps",
    "sed, which has e": "sed -n 1p /x",
    "tar, which has actions": "tar xf x --to-command=x",
    "git, which has aliases": "git -c alias.x=y x",
}


@pytest.mark.parametrize("name", INTERPRETED)
@pytest.mark.parametrize("prefix", ["exec web", "run busybox"])
def test_it_is_told_as_interpreted(name: str, prefix: str):
    found = facts(parse(f"docker {prefix} {INTERPRETED[name]}"))
    assert found.shell
    assert all(line.isascii() for line in found.shell)


@pytest.mark.parametrize(
    "flags", ["--entrypoint sh", "--entrypoint=/bin/bash", "--entrypoint /x.py", "--health-cmd true"]
)
def test_an_interpreter_in_a_flag_is_told(flags: str):
    assert facts(parse(f"docker run {flags} busybox")).shell


@pytest.mark.parametrize(
    "command",
    [
        *("ls -la /srv", "cat /etc/hosts", "nginx -s reload", "id", "sleep 300", "date +%s", "top -b -n 1"),
        *(
            "pg_dump --dbname=shop",
            "shell-free x",
            "/usr/bin/fish-counter",
            "pythonic",
            "echo 'a b'",
            "service-monitor x",
            f"/srv/{'sh-' * 30} x",
            "cat /etc/daemon",
            "ls x86_64",
            "ocamlfind-not old.bak",
            "touch /srv/a.txt",
        ),
        *("httpd-foreground", "sh2elf-not x", "cat /app/run.sh", "grep hermes /etc/hosts", "cat /proc/meminfo"),
        *("celery worker", "sort --key=2 x", "tool --executor=x --evaluate y", "/process/bin/x", "/devices x"),
    ],
)
def test_plain_programs_are_not_interpreted(command: str):
    assert facts(parse(f"docker exec web {command}")).shell == ()


@pytest.mark.parametrize(
    ("text", "privileges"),
    [
        ("docker exec --privileged web id", ("--privileged",)),
        ("docker exec -u 0 -e DOCKER_HOST=x web id", ("engine's address in DOCKER_HOST", "user 0")),
        ("docker exec -u nginx -w /srv -e A=1 web id", ()),
    ],
)
def test_exec_states_its_privileges(text: str, privileges: tuple[str, ...]):
    assert facts(parse(text)).privileges == privileges


@pytest.mark.parametrize(
    "program",
    [
        *("perl5.36-x86_64-linux-gnu", "python3.11-dbg", "micropython", "bash-static", "mksh-static", "busybox-static"),
        *("sh.distrib", "vim.basic", "vim.tiny", "nc.openbsd", "nc.traditional", "original-awk", "tini-static"),
        *("luajit-2.1.0-beta3", "runcon", "bwrap", "qemu-x86_64"),
        *("posh", "lksh", "rksh", "sash", "hush", "git-shell", "bash.real", "dash.orig", "sh.old", "zsh-bak", "sh.bak"),
        *("php-cgi", "php-fpm8.2", "phpdbg8.2", "ts-node", "jruby", "jython", "ocaml", "sbcl", "raku", "qjs", "tcc"),
        *("ip netns exec x sh2", "unbuffer", "fakeroot", "proot", "daemon", "x86_64", "i386", "service", "systemctl"),
        *("numactl", "cgexec", "prlimit", "firejail", "valgrind", "runsv", "xvfb-run", "dbus-run-session", "newgrp"),
    ],
)
def test_a_distributions_name_for_an_interpreter_is_one(program: str):
    assert facts(parse(f"docker exec web /usr/bin/{program} x")).shell
