"""What `explain` reads on this machine: the rules file, and the public keys."""

from services.cli.ring import RingWhenWanted
from services.cli.settings import CliSettings
from shared.adapters.rules_file.loading import load_rules
from shared.adapters.signatures import load_ring
from shared.domain.rules import Rules
from shared.ports.signing import Unsealer


def rules_and_ring(settings: CliSettings) -> tuple[Rules, Unsealer]:
    """Raises InvalidRules."""
    rules = load_rules(settings.imagegate_rules) if settings.imagegate_rules else Rules()
    return rules, RingWhenWanted(lambda: load_ring(settings.ring_folder))
