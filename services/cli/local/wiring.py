"""What commands read and make on this machine, without a server: the rules file, keys, a folder of
exceptions."""

from collections.abc import Mapping
from pathlib import Path

from services.cli.ring import RingWhenWanted
from services.cli.settings import CliSettings
from services.webhook.terms import Terms
from shared.adapters.exception_files import ExceptionFolder
from shared.adapters.rules_file.loading import load_rules
from shared.adapters.rules_file.schema import rules_schema
from shared.adapters.signatures import KeyFiles, load_ring, new_keys
from shared.domain.platforms import PlatformTerms
from shared.domain.rules import Rules
from shared.domain.signing import Role
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


def make_keys(folder: Path, *, role: Role) -> KeyFiles:
    """A key pair of `role` in `folder`; raises InvalidSettings when one is there."""
    return new_keys(folder, role=role)


def read_rules(path: Path) -> Rules:
    """A rules file as the services read it; raises InvalidRules."""
    return load_rules(path)


def platforms_of(settings: CliSettings) -> PlatformTerms:
    """As webhooks with the same settings count them."""
    return PlatformTerms.told(
        cluster=settings.imagegate_cluster, inventory=settings.imagegate_inventory
    )


def rules_of(settings: CliSettings) -> Rules:
    """Those of the file that the settings name, or the built-in default; raises InvalidRules."""
    return load_rules(settings.imagegate_rules) if settings.imagegate_rules else Rules()


def format_of_rules() -> Mapping[str, object]:
    """The JSON Schema of the rules file."""
    return rules_schema()
