"""What is recognised in a notice of Anchore's, and what becomes of it.

A notice is a hint that an analysis is over, or that a verdict may be another one now: nothing in
it is believed (docs/design/anchore-notifications.md).
"""

from enum import StrEnum

import msgspec

from services.intake.pushes import Taken
from shared.domain.reference import ImageReference
from shared.domain.verdict import Subject


class Kind(StrEnum):
    """What a notice is about."""

    ANALYSIS = "analysis"
    POLICY = "policy"
    """The policy says something else of an image than before."""
    VULNERABILITIES = "vulnerabilities"
    """Others are known of an image than before."""
    TAG = "tag"
    EVENT = "event"
    """Anything else that Anchore writes into its event log."""
    UNKNOWN = "unknown"


class Heard(StrEnum):
    """What became of a notice."""

    QUEUED = "queued"
    UNDER_WAY = "under_way"
    REMEMBERED = "remembered"
    AWAY = "away"
    REPEATED = "repeated"
    """Somebody was asked to look a moment ago."""
    OVER = "over"
    """More than is asked for in that time: its image is looked at in its turn."""
    NO_NEWS = "ignored_no_news"
    """About what nobody waits for: a tag that moved, an analysis that goes on."""
    NO_IMAGE = "ignored_no_image"
    """It names no digest, or nothing that a pod could name: tests of Anchore's do so."""
    NOT_ALLOWED = "ignored_not_allowed"
    UNASKED = "ignored_unasked"
    """The rules let such images run, or deny them, without a verdict."""
    OTHER_ACCOUNT = "ignored_other_account"
    """No rule asks that account about the image."""
    UNREADABLE = "ignored_unreadable"

    @classmethod
    def of(cls, taken: Taken) -> "Heard":
        """As it befell the notice's step."""
        return cls(taken.value)


class Notice(msgspec.Struct, frozen=True):
    """Somebody says that something is new about an image."""

    kind: Kind
    account: str
    """Anchore's."""
    subject: Subject

    @property
    def reference(self) -> ImageReference:
        """The image as a pod may name it, by its digest in any case."""
        host, _, path = self.subject.repository.partition("/")
        return ImageReference(host, path, self.subject.tag, self.subject.digest)


class Unheeded(msgspec.Struct, frozen=True):
    """A notice that asks for nothing, and why."""

    kind: Kind
    why: Heard
