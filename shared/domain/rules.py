"""Rules: what applies to which image of which object (docs/design/behaviour.md 4).

How a file becomes `Rules`: `shared.adapters.rules_file`. Which of them hold for one object:
`shared.domain.scope`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from shared.domain.exceptions import ImageException
from shared.domain.glob import ANY_PARTS, Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import ImageReference
from shared.domain.verdict import Question

DEFAULT_PLATFORMS = ("linux/amd64",)
DEFAULT_PLACEHOLDERS = ("auto",)
"""What stands for the image of Istio's gateways until its injector has seen the pod."""

MAX_QUESTIONS = 8
"""What one image is asked about at most before anybody wants it."""


ANY = Glob("*")
ANY_IMAGE = ImagePattern(ANY_PARTS)

Pattern = TypeVar("Pattern", Glob, ImagePattern)


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


class PinWhat(StrEnum):
    """Whose tags /mutate replaces by digests."""

    PODS = "pods"
    ALL = "all"
    """Workloads too."""
    NONE = "none"


class Tags(StrEnum):
    """What /validate says of a tag that is not pinned to a digest."""

    PINNED = "pinned"
    """Denied."""
    ALLOW = "allow"
    """Warned of and counted."""


class PolicyChoice(msgspec.Struct, frozen=True):
    """Whose policy is asked; empty: the credentials' account, its active policy."""

    account: str = ""
    id: str = ""


class Match(msgspec.Struct, frozen=True):
    """Which images of which objects a rule is about: all of what it names must fit, and of each
    list one. Nothing named: every image."""

    namespaces: tuple[Glob, ...] = ()
    namespace_labels: tuple[tuple[str, str], ...] = ()
    images: tuple[ImagePattern, ...] = ()
    users: tuple[Glob, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def by_author(self) -> bool:
        """Whether it rests on what the author of an object writes: such a rule only adds."""
        return bool(self.labels or self.annotations or self.kinds)

    def contains(self, other: "Match") -> bool:
        """Whether it is plain to see that this one is about all that `other` is about."""
        return (
            _all_contained(self.namespaces, other.namespaces or (ANY,))
            and _all_contained(self.users, other.users or (ANY,))
            and _all_contained(self.images, other.images or (ANY_IMAGE,))
            and set(self.namespace_labels) <= set(other.namespace_labels)
            and set(self.labels) <= set(other.labels)
            and set(self.annotations) <= set(other.annotations)
            and (not self.kinds or (bool(other.kinds) and set(other.kinds) <= set(self.kinds)))
        )


class Rule(msgspec.Struct, frozen=True):
    """What a pod's image must satisfy, and what happens when it does not."""

    name: str = "default"
    mode: Mode = Mode.ENFORCE
    require: Requirement = Requirement.POLICY
    policy: PolicyChoice = PolicyChoice()
    match: Match = Match()
    turn_grace: int = 0
    """Milliseconds in which a fail that replaced a pass still lets the image run."""
    pin: PinWhat | None = None
    """pods or none; None: as the webhook is set."""
    tags: Tags | None = None
    """None: as the webhook is set."""

    def question(self, *, scanner: str) -> Question:
        """What is asked of the scanner of that name about an image."""
        return Question(
            account=self.policy.account,
            policy=self.policy.id,
            requirement=self.require.value,
            scanner=scanner,
        )

    @property
    def asks(self) -> bool:
        """Whether it needs a verdict at all."""
        return self.mode not in (Mode.ALLOW, Mode.DENY)


class RegistryRule(msgspec.Struct, frozen=True):
    """How one registry host is reached. Credentials go to exactly this host."""

    host: str
    """As in a reference: `ghcr.io`, `registry.corp:5000`."""
    repositories: tuple[Glob, ...] = ()
    """Repository paths by glob (`team-a/**`); empty: all of the host."""
    insecure: bool = False
    """Plain HTTP."""
    credentials: str = ""
    """A dockerconfigjson file."""
    user_file: str = ""
    password_file: str = ""
    """Or two files that hold just these."""
    helper: str = ""
    """Or a program that speaks the protocol of Docker's credential helpers."""
    immutable_tags: tuple[Glob, ...] = ()
    """Tag globs that never move."""

    def fit(self, reference: ImageReference) -> int | None:
        """How closely this entry fits the reference: the length of the longest pattern that
        matches, 0 for an entry about the whole host, None where it is about something else."""
        if reference.host != self.host:
            return None
        if not self.repositories:
            return 0
        path = reference.path
        matching = [len(glob.pattern) for glob in self.repositories if glob.matches(path)]
        return max(matching, default=None)


class Rules(msgspec.Struct, frozen=True):
    """A whole rules file."""

    default: Rule = Rule()
    rules: tuple[Rule, ...] = ()
    """In their order: the first that matches decides, those by an author's words add."""
    exceptions: tuple[ImageException, ...] = ()
    registries: tuple[RegistryRule, ...] = ()
    allow_registries: tuple[str, ...] = ()
    """Hosts; empty: all."""
    platforms: tuple[str, ...] = ()
    """Those that count; empty: those of the cluster's nodes where they are known, else
    DEFAULT_PLATFORMS (`shared.domain.platforms`)."""
    placeholders: tuple[str, ...] = DEFAULT_PLACEHOLDERS
    """Texts in an image's place that a pod mutator replaces; exactly as they are written."""

    def questions(self, reference: ImageReference, *, scanner: str) -> tuple[Question, ...]:
        """What may be asked about an image before anybody says where it is to run: the questions
        of each rule whose images it is, in the rules' order, and of the default; at most
        MAX_QUESTIONS."""
        able = [
            rule
            for rule in (*self.rules, self.default)
            if rule.asks
            and (
                not rule.match.images
                or any(pattern.matches(reference) for pattern in rule.match.images)
            )
        ]
        asked = dict.fromkeys(rule.question(scanner=scanner) for rule in able)
        return tuple(asked)[:MAX_QUESTIONS]

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
        tag = reference.tag
        if tag is None or not self.registries:
            return False
        return any(glob.matches(tag) for glob in self.registry_for(reference).immutable_tags)


def _all_contained(wide: Sequence[Pattern], narrow: Sequence[Pattern]) -> bool:
    """Whether each of `narrow` is contained in one of `wide`; none at all is as wide as can be."""
    return not wide or all(any(one.contains(other) for one in wide) for other in narrow)
