"""Which token realms belong to a registry."""

import pytest
from yarl import URL

from shared.adapters.registry.endpoints import Target
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules

RULES = Rules(registries=(RegistryRule("registry.corp"), RegistryRule("gitlab.corp")))


@pytest.mark.parametrize(
    ("image", "realm", "trusted"),
    [
        ("registry.corp/app", "https://registry.corp/token", True),
        ("registry.corp/app", "https://gitlab.corp/jwt/auth", True),
        ("registry.corp/app", "http://gitlab.corp/jwt/auth", False),
        ("registry.corp/app", "https://elsewhere.test/token", False),
        ("stranger.test/app", "https://stranger.test/token", True),
        ("stranger.test/app", "https://gitlab.corp/jwt/auth", False),
        ("docker.io/library/app", "https://auth.docker.io/token", True),
        ("docker.io/library/app", "https://gitlab.corp/jwt/auth", False),
    ],
)
def test_only_registries_that_the_rules_name_send_us_to_other_hosts_they_name(
    image: str, realm: str, trusted: bool
) -> None:
    """A stranger would be given the token that a named host hands out."""
    target = Target.under(RULES, parse_reference(image))
    assert target.trusts_realm(URL(realm), RULES) is trusted
