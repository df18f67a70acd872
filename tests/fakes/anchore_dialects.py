"""What FakeAnchore says differently in its two dialects."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tests.fakes import anchore_v2_wire, anchore_wire
from tests.fakes.anchore_wire import Json

REQUEST_ID = "3f1c2d7a9b"


class Submission(msgspec.Struct, frozen=True):
    """A submission by digest as it was read; `tag` as it was sent."""

    tag: Any
    digest: Any
    dockerfile: str | None


class Record(Protocol):
    """Tells of an image."""

    def __call__(
        self,
        *,
        digest: str,
        parent: str,
        tags: list[str],
        status: str,
        account: str,
        created: float,
        updated: float,
        analyzed: float | None,
        dockerfile: str | None,
    ) -> Json: ...


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """One dialect."""

    api: str
    version: Json
    baseline: Json
    policy: str
    record: Record
    answer: Callable[[Json], Json]
    """What an answer about one image is."""
    check: Callable[..., Json]
    event: Callable[[str, str, str, float], Json]
    submission: Callable[[Json], Submission]


def _v1_submission(body: Json) -> Submission:
    return Submission(body.get("tag"), body.get("digest"), body.get("dockerfile"))


def _v2_submission(body: Json) -> Submission:
    source = body.get("source") or {}
    by_digest = source.get("digest") or {}
    pulled = by_digest.get("pull_string")
    digest = pulled.rpartition("@")[2] if isinstance(pulled, str) else pulled
    return Submission(by_digest.get("tag"), digest, by_digest.get("dockerfile"))


V1 = Speech(
    api="v1",
    version={"api": {}, "db": {"schema_version": "0.0.16"}, "service": {"version": "1.1.0"}},
    baseline=anchore_wire.BASELINE,
    policy="policyId",
    record=anchore_wire.image_record,
    answer=lambda record: [record],
    check=anchore_wire.check_answer,
    event=anchore_wire.failed_event,
    submission=_v1_submission,
)
V2 = Speech(
    api="v2",
    version={
        "api": {"version": "2"},
        "db": {"schema_version": "5210"},
        "service": {"version": "5.21.0"},
    },
    baseline=anchore_v2_wire.BASELINE,
    policy="policy_id",
    record=anchore_v2_wire.image_record,
    answer=lambda record: record,
    check=anchore_v2_wire.check_answer,
    event=anchore_v2_wire.failed_event,
    submission=_v2_submission,
)
SPEECHES = {"v1": V1, "v2": V2}
