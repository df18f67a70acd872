"""Who types a command."""

import getpass

from services.cli.command import fail


def whoever() -> str:
    """As this machine knows it; the command ends where it does not."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        fail("nobody knows who you are here: say it with --owner")
