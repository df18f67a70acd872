"""The three columns of the timeline: how a pod names its image, and what is asked for it."""

from collections.abc import Sequence

import msgspec
import pytest

from shared.domain.glob import Glob
from shared.domain.reference import parse_reference
from shared.domain.rules import PinWhat, RegistryRule, Rules
from shared.domain.step import Lane, StepKind

REPOSITORY = "registry.corp/team/app"
TAG = f"{REPOSITORY}:1"
A, B, C = ("sha256:" + letter * 64 for letter in "abc")


class Column(msgspec.Struct, frozen=True):
    """How a pod names its image, and its pull policy; empty: it has none."""

    name: str
    image: str
    policy: str

    @property
    def pinned(self) -> str:
        """What its pod runs where A is what its tag names."""
        return self.image if "@" in self.image else f"{self.image}@{A}"

    @property
    def tag(self) -> str | None:
        """Of the verdict that its image has."""
        return parse_reference(self.image).tag


ALWAYS = (Column("Always", TAG, "Always"), Column("no policy", TAG, ""))
NOT_ALWAYS = (Column("IfNotPresent", TAG, "IfNotPresent"), Column("Never", TAG, "Never"))
PINNED = (
    Column("digest", f"{REPOSITORY}@{A}", "IfNotPresent"),
    Column("digest, Always", f"{REPOSITORY}@{A}", "Always"),
    Column("pinned", f"{TAG}@{A}", "IfNotPresent"),
    Column("pinned, Always", f"{TAG}@{A}", "Always"),
)
TAGS = (*ALWAYS, *NOT_ALWAYS)
EVERY = (*TAGS, *PINNED)
PINNED_TAG = PINNED[2]
ONE_OF_EACH = (ALWAYS[0], NOT_ALWAYS[0], PINNED_TAG)


def columns(columns: Sequence[Column]) -> pytest.MarkDecorator:
    """Each of them is a test's `column`."""
    return pytest.mark.parametrize("column", columns, ids=[column.name for column in columns])


with_and_without_pinning = pytest.mark.parametrize("pin", [PinWhat.PODS, PinWhat.NONE])
"""An installation with /mutate, and one that only validates."""


class Asked(msgspec.Struct, frozen=True):
    """A step that a webhook had queued."""

    lane: Lane
    kind: StepKind
    image: str


def requested(image: str, *, lane: Lane = Lane.ADMISSION) -> Asked:
    """It is to be judged."""
    return Asked(lane, StepKind.REQUEST, image)


def renewed(image: str) -> Asked:
    """It is to be judged anew, behind the answer."""
    return requested(image, lane=Lane.PREWARM)


RESOLVED = Asked(Lane.RESOLVE, StepKind.RESOLVE, TAG)
"""The registry is to be asked what the tag names."""


def immutable(pattern: str) -> Rules:
    """Rules by which tags of the registry that fit never move."""
    entry = RegistryRule("registry.corp", immutable_tags=(Glob(pattern),))
    return Rules(registries=(entry,))
