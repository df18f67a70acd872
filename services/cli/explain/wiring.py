"""What `explain` reads on this machine: the rules file, the public keys, a folder of exceptions."""

from services.cli.ring import RingWhenWanted
from services.cli.settings import CliSettings
from services.webhook.terms import Terms
from shared.adapters.exception_files import ExceptionFolder
from shared.adapters.rules_file.loading import load_rules
from shared.adapters.signatures import load_ring
from shared.domain.pointer import SECOND
from shared.domain.rules import PinWhat, Rules
from shared.ports.exceptions import Folder
from shared.ports.signing import Unsealer


def rules_and_ring(settings: CliSettings) -> tuple[Rules, Unsealer]:
    """Raises InvalidRules."""
    rules = load_rules(settings.imagegate_rules) if settings.imagegate_rules else Rules()
    return rules, RingWhenWanted(lambda: load_ring(settings.ring_folder))


def terms_of(settings: CliSettings) -> Terms:
    """Those that webhooks with the same settings have."""
    return Terms(
        settings.imagegate_scanner,
        PinWhat(settings.imagegate_pin),
        policy_grace=round(settings.imagegate_policy_grace * SECOND),
    )


async def exception_files(settings: CliSettings) -> Folder:
    """What stands in the folder of exceptions; raises InvalidSettings where there is none."""
    if settings.imagegate_exceptions is None:
        return Folder()
    return await ExceptionFolder(settings.imagegate_exceptions).read()
