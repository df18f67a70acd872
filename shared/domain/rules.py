"""Rules: what applies to which image (docs/design/behaviour.md 4).

The default rule, registries and platforms.
How a file becomes `Rules`: `shared.adapters.rules_file`.
"""

from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from shared.domain.reference import ImageReference
from shared.domain.verdict import Question

DEFAULT_PLATFORMS = ("linux/amd64",)
DEFAULT_PLACEHOLDERS = ("auto",)
"""What stands for the image of Istio's gateways until its injector has seen the pod."""


class Mode(StrEnum):
    """What becomes of an image that is not known to be good."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"
    ALLOW = "allow"
    DENY = "deny"


class Requirement(StrEnum):
    """policy: must pass it. analysis: analysed is enough."""

    POLICY = "policy"
    ANALYSIS = "analysis"


class PolicyChoice(msgspec.Struct, frozen=True):
    """Whose policy is asked; empty: the credentials' account, its active policy."""

    account: str = ""
    id: str = ""


class Rule(msgspec.Struct, frozen=True):
    """What a pod's image must satisfy, and what happens when it does not."""

    name: str = "default"
    mode: Mode = Mode.ENFORCE
    require: Requirement = Requirement.POLICY
    policy: PolicyChoice = PolicyChoice()


class RegistryRule(msgspec.Struct, frozen=True):
    """How one registry host is reached. Credentials go to exactly this host."""

    host: str
    """As in a reference: `ghcr.io`, `registry.corp:5000`."""
    repositories: tuple[str, ...] = ()
    """Path prefixes by glob (`team-a/**`); empty: all of the host."""
    insecure: bool = False
    """Plain HTTP."""
    credentials: str = ""
    """A dockerconfigjson file."""
    immutable_tags: tuple[str, ...] = ()
    """Tag globs that never move."""

    def fit(self, reference: ImageReference) -> int | None:
        """How closely this entry fits the reference: the length of the longest pattern that
        matches, 0 for an entry about the whole host, None where it is about something else."""
        if reference.host != self.host:
            return None
        if not self.repositories:
            return 0
        matching = [
            len(pattern) for pattern in self.repositories if fnmatchcase(reference.path, pattern)
        ]
        return max(matching, default=None)


class Rules(msgspec.Struct, frozen=True):
    """A whole rules file."""

    default: Rule = Rule()
    registries: tuple[RegistryRule, ...] = ()
    allow_registries: tuple[str, ...] = ()
    """Hosts; empty: all."""
    platforms: tuple[str, ...] = DEFAULT_PLATFORMS
    placeholders: tuple[str, ...] = DEFAULT_PLACEHOLDERS
    """Texts in an image's place that a pod mutator replaces; exactly as they are written."""

    def question(self, *, scanner: str) -> Question:
        """What is asked of the scanner of that name about an image."""
        rule = self.default
        return Question(
            account=rule.policy.account,
            policy=rule.policy.id,
            requirement=rule.require.value,
            scanner=scanner,
        )

    def allows_registry(self, host: str) -> bool:
        """Whether images of this host may be asked about at all."""
        return not self.allow_registries or host in self.allow_registries

    def registry_for(self, reference: ImageReference) -> RegistryRule:
        """The entry whose matching repository pattern is longest, or the host's defaults."""
        fits = [
            (fit, entry) for entry in self.registries if (fit := entry.fit(reference)) is not None
        ]
        if not fits:
            return RegistryRule(host=reference.host)
        return max(fits, key=lambda fitting: fitting[0])[1]

    def immutable(self, reference: ImageReference) -> bool:
        """Whether the reference's tag is one that never moves."""
        patterns = self.registry_for(reference).immutable_tags
        return reference.tag is not None and any(
            fnmatchcase(reference.tag, pattern) for pattern in patterns
        )
