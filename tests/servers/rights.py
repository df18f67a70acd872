"""The users of docs/design/redis-rights.md, as they stand there, on a server of the tests."""

from pathlib import Path

from tests.servers.redis import RedisServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "design" / "redis-rights.md"
COMMAND = "ACL SETUSER "
PASSWORD = "s3cret"


def redis_rights() -> dict[str, str]:
    """The rules of each user, with our password."""
    found = [
        line.removeprefix(COMMAND).partition(" ")
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith(COMMAND)
    ]
    return {user: rules.replace(">PASSWORD", f">{PASSWORD}") for user, _, rules in found}


def make_users(server: RedisServer) -> None:
    """Have them all on `server`."""
    for user, rules in redis_rights().items():
        server.command("ACL", "SETUSER", user, *rules.split())
