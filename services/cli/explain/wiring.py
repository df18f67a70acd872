"""What `explain` reads on this machine: the rules file, the public keys, a folder of exceptions."""

from services.cli.ring import RingWhenWanted
from services.cli.settings import CliSettings
from services.cli.wiring import platforms_of, rules_of
from services.webhook.terms import Terms
from shared.adapters.exception_files import ExceptionFolder
from shared.adapters.signatures import load_ring
from shared.domain.rules import Rules
from shared.ports.exceptions import Folder
from shared.ports.signing import Unsealer


def rules_and_ring(settings: CliSettings) -> tuple[Rules, Unsealer]:
    """Raises InvalidRules."""
    return rules_of(settings), RingWhenWanted(lambda: load_ring(settings.ring_folder))


def terms_of(settings: CliSettings) -> Terms:
    """Those that webhooks with the same settings have."""
    return Terms.told(
        scanner=settings.imagegate_scanner,
        pin=settings.imagegate_pin,
        policy_grace=settings.imagegate_policy_grace,
        platforms=platforms_of(settings),
    )


async def exception_files(settings: CliSettings) -> Folder:
    """What stands in the folder of exceptions; raises InvalidSettings where there is none."""
    if settings.imagegate_exceptions is None:
        return Folder()
    return await ExceptionFolder(settings.imagegate_exceptions).read()
