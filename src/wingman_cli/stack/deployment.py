"""The configuration of one environment on disk: its keys, and what each container is given of them.

Guarantees: a container's directory and variables hold what that role needs and nothing else; what exists is kept, so
that the next start brings the same identities; every secret is a file of mode 0600 beneath a directory of mode 0700.
Does not: hand the files to the containers' users (see ``hand_over``, which needs an engine).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wingman_cli.instance import Instance, copy_policies
from wingman_cli.pki import Authority, create_checkpoint_key, create_token_key, write_private
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.role_settings import given
from wingman_cli.stack.secrets_file import env_lines, wants_bot

USERS: Final[Mapping[str, int]] = {"api": 10001, "gateway": 10002, "bot": 10003, "postgres": 999, "migrate": 10001}
"""The fixed user of each container; its group has the same number."""
DNS: Final[Mapping[str, tuple[str, ...]]] = {
    "gateway": ("execution-gateway", "localhost"),
    "postgres": ("postgres", "localhost"),
    "api": (),
}
"""By which names each certificate's holder is reached."""
BOT_KEY: Final = "bot"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The files of one environment."""

    environment: Environment

    @property
    def instance(self) -> Instance:
        """The keys, as a data directory: ``wingman --data-dir config/test`` works on it."""
        return Instance(self.environment.config, self.environment.name)

    def prepare(self, values: Mapping[str, str], *, now: datetime) -> None:
        """Make what is missing, and write what each container is given; ``values`` are the secrets file's.

        Raises ``SettingInvalid`` for a value that no file can carry.
        """
        config = self.environment.config
        config.mkdir(parents=True, exist_ok=True, mode=0o700)
        config.chmod(0o700)
        self.environment.data.mkdir(parents=True, exist_ok=True)
        self._make_keys(now)
        for role, files in self._files(values).items():
            directory = config / role
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)  # the one above is closed; a container's user must get through
            for name, content in files.items():
                write_private(directory / name, content)
        for role, variables in self._variables(values).items():
            write_private(config / f"{role}.env", env_lines(variables).encode("utf-8"))

    def _make_keys(self, now: datetime) -> None:
        instance = self.instance
        for place in ("secrets", "keys"):
            (instance.directory / place).mkdir(exist_ok=True, mode=0o700)
        authority = Authority(instance.pki, instance.environment, now=now)
        for role, dns in DNS.items():
            if not authority.holds(role):
                authority.issue(role, dns=dns, ips=(), replace=True)
        if not instance.token_key.exists():
            create_token_key(instance.token_key, instance.token_keys)
        if not instance.checkpoint_key.exists():
            create_checkpoint_key(instance.checkpoint_key)
        instance.write_verifier_key()
        if not instance.policies.exists():
            copy_policies(instance.policies)
        for public in (instance.token_keys, instance.policies):  # the gateway's user reads them
            for path in (public, *public.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)

    def _files(self, values: Mapping[str, str]) -> dict[str, dict[str, bytes]]:
        """Return the files of each container by name."""
        instance = self.instance
        authority = {"ca.crt": (instance.pki / "ca.crt").read_bytes()}
        key, verifier = instance.api_key_file(BOT_KEY), {"checkpoint.vkey": instance.verifier_key.read_bytes()}
        database = self.environment.database
        password = values["POSTGRES_PASSWORD"].replace(":", r"\:")
        return {
            "api": authority | _tls(instance, "api") | verifier | {"token.pem": instance.token_key.read_bytes()},
            "gateway": authority | _tls(instance, "gateway") | {"checkpoint.pem": instance.checkpoint_key.read_bytes()},
            "bot": {"api.key": key.read_bytes()} if key.exists() else {},
            "postgres": _tls(instance, "postgres") | {"pgpass": f"*:*:*:{database}:{password}\n".encode()},
            "migrate": authority,
        }

    def _variables(self, values: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return the variables of each container that are secret, or that people may set."""
        instance = self.instance
        passwords = {name: value for name, value in values.items() if name.startswith(("DB_PASSWORD_", "POSTGRES_PA"))}
        return {
            "api": given("api", values)
            | {"DB_PASSWORD": values["DB_PASSWORD_API"], "WINGMAN_TOKEN_KID": instance.token_kid()},
            "gateway": given("gateway", values)
            | {"DB_PASSWORD": values["DB_PASSWORD_GATEWAY"], "WINGMAN_LOG_ID": instance.log_id()},
            "bot": given("bot", values) | {"BOT_TOKEN": values["BOT_TOKEN"]} if wants_bot(values) else {},
            "postgres": passwords,
            "migrate": {"DB_PASSWORD": values["DB_PASSWORD_OWNER"]},
        }


def hand_over(environment: Environment, run: Callable[[list[str]], object]) -> None:
    """Give each container's files to its user, with ``run``, which starts a container that may only change owners.

    So it works for people who may use an engine without being root, and where the engine is in a virtual machine.
    """
    steps = [f"find /config/{role} -type f -exec chown {user}:{user} {{}} +" for role, user in USERS.items()]
    steps += [f"chown {USERS['api']} /data", "chmod u+rwx /data"]
    run(
        [
            *("run", "--rm", "--network", "none", "--read-only", "--user", "0:0", "--cap-drop", "ALL"),
            *("--cap-add", "CHOWN", "--cap-add", "DAC_OVERRIDE", "--cap-add", "FOWNER"),
            *("--volume", f"{environment.config}:/config", "--volume", f"{environment.data}:/data"),
            *("--entrypoint", "/bin/sh", "wingman-api", "-ec", "; ".join(steps)),
        ]
    )


def _tls(instance: Instance, stem: str) -> dict[str, bytes]:
    return {f"tls.{kind}": (instance.pki / f"{stem}.{kind}").read_bytes() for kind in ("crt", "key")}
