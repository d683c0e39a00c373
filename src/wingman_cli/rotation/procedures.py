"""Each rotation as a numbered procedure: new beside old, all know both, all use the new, the old is refused.

Guarantees: a request that is made meanwhile succeeds, if need be when it is sent again: processes start anew one after
another, after what they do has ended. A rotation that was cut off is finished by calling it again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from wingman_cli.instance import Instance
from wingman_cli.rotation import certificates, passwords, token_key
from wingman_core.errors import Code, SettingInvalid

ALL: Final = ("gateway", "api")

Tell = Callable[[str], None]


class Site(Protocol):
    """A deployment, running or not, whose secrets change."""

    @property
    def instance(self) -> Instance:
        """Its keys."""
        ...

    async def renew(self, *names: str) -> None:
        """Start processes anew, in that order, with what there is for them now; return once they are ready."""
        ...

    async def stage_passwords(self) -> dict[str, str]:
        """Return new passwords by role, kept where they are not used yet."""
        ...

    def adopt_passwords(self) -> None:
        """Have the staged passwords be used from each process's next start on."""
        ...

    def bot_token(self) -> str:
        """Return the token that the bot uses; empty where there is no bot."""
        ...

    def telegram(self) -> str:
        """Return the Bot API server that the bot speaks to; empty for Telegram's own."""
        ...

    def replace_bot_token(self, token: str) -> None:
        """Have the bot use another one from its next start on."""
        ...

    async def execute(self, sql: str) -> None:
        """Execute SQL as the database's superuser."""
        ...


async def rotate_passwords(site: Site, tell: Tell) -> None:
    """Change every database role's password, and end the sessions that the old ones opened."""
    # 1. The new ones, kept before they hold.
    new = await site.stage_passwords()
    # 2. They hold; sessions go on.
    await site.execute(passwords.statements(new))
    changed = datetime.now(UTC)
    site.adopt_passwords()
    tell(f"{len(new)} roles have a new password.")
    # 3. Every process starts anew with its own.
    await site.renew(*ALL)
    # 4. Who came in with an old one goes.
    roles = ", ".join(f"'{role}'" for role in new)
    await site.execute(passwords.END_OLDER.format(roles=roles, since=changed.isoformat()) + ";\n")
    tell("The old ones are refused, and the sessions that they opened have ended.")


async def rotate_token_key(site: Site, tell: Tell, overlap: timedelta) -> None:
    """Change the key that signs capabilities; those of the old one are taken for ``overlap`` more."""
    # 1. The gateway knows both.
    kid = token_key.stage(site.instance)
    await site.renew("gateway")
    # 2. The API signs with the new one.
    token_key.adopt(site.instance)
    await site.renew("api")
    tell(f"Capabilities are signed by {kid}; those of the old key are taken for {overlap.total_seconds():.0f} s more.")
    # 3. The last that the old one signed has lapsed.
    await asyncio.sleep(overlap.total_seconds())
    # 4. The gateway knows the new one alone.
    gone = token_key.retire(site.instance)
    await site.renew("gateway")
    tell(f"Refused from now on: {', '.join(gone) or 'none was left'}.")


async def rotate_certificates(site: Site, tell: Tell) -> None:
    """Change the CA and every certificate that it issued."""
    # 1. Everybody trusts both CAs.
    certificates.stage(site.instance, datetime.now(UTC))
    certificates.trust_both(site.instance)
    await site.renew(*ALL)
    tell("The new CA is trusted beside the old one.")
    # 2. Everybody shows a certificate of the new one.
    certificates.use_new(site.instance)
    await site.renew(*ALL)
    tell("Every certificate is of the new CA.")
    # 3. Everybody trusts the new one alone; connections that the old one let in end.
    certificates.trust_new(site.instance)
    await site.renew(*ALL)
    tell(f"Certificates of the old CA are refused. Tools need theirs again, and the CA's: {site.instance.pki}")


async def rotate_bot_token(site: Site, tell: Tell, new: str, known: Callable[[str, str], Awaitable[str]]) -> None:
    """Change the bot's token to one that Telegram has for the same bot; ``known`` asks it, and returns a name."""
    old = site.bot_token()
    # 1. It is another token of the same bot, and Telegram knows it.
    if not old or old.partition(":")[0] != new.partition(":")[0] or old == new:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            "this is no new token of the bot here" if old else "there is no bot here",
            hint="@BotFather makes one: /revoke, then choose the bot; type or pipe it in, or put it into BOT_TOKEN"
            + ("; a rotation that was cut off is finished by the next start" if old == new else ""),
        )
    name = await known(new, site.telegram())
    # 2. The bot starts anew with it, and goes on where it was: the API keeps its place.
    site.replace_bot_token(new)
    await site.renew("bot")
    tell(f"@{name} uses the new token. The old one is Telegram's to refuse: it does, once @BotFather has revoked it.")
