"""Our answers beside those of a second webhook: what each would have made of the same object."""

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from services.cli.beside.second import SecondWebhook, Theirs
from services.cli.defaults import with_defaults
from services.cli.reviews import Asker, review_of
from services.webhook.note import GOOD
from shared.domain.decision import State
from shared.domain.pod_template import WORKLOADS
from shared.ports.decisions import MAX_IMAGES, DecisionRecord

REFUSED = (State.FAIL, State.ERROR, State.INVALID, State.REFUSED, State.UNPINNED)


class Stand(StrEnum):
    """How our answer stands to theirs."""

    SAME = "same"
    STRICTER = "stricter"
    """We refuse what they let in."""
    LAXER = "laxer"
    """We let in what they refuse."""
    NOT_YET = "not yet"
    """We could not say: the image was not judged, or a part was down."""
    UNKNOWN = "unknown"
    """They gave no answer."""


class Ours(msgspec.Struct, frozen=True):
    """What we answered, as mode enforce would have it."""

    object: str
    """`Pod default/web`."""
    images: tuple[str, ...]
    state: str
    reason: str
    cut: bool = False
    """It may have had more images than are written down."""


class Compared(msgspec.Struct, frozen=True):
    """One object."""

    ours: Ours
    theirs: Theirs
    stand: Stand


def asked_once(records: Sequence[DecisionRecord], *, since: int = 0) -> list[DecisionRecord]:
    """The newest of those that are about the same images in the same place, from `since` (ms) on;
    without those of which nothing can be asked again. `records`: the newest first."""
    found: dict[tuple[object, ...], DecisionRecord] = {}
    for record in records:
        if record.at >= since and record.images and record.operation in ("CREATE", "UPDATE"):
            found.setdefault((record.kind, record.namespace, record.images), record)
    return list(found.values())


async def compare_records(
    records: Sequence[DecisionRecord], second: SecondWebhook
) -> list[Compared]:
    """What `second` says of objects made up of what was written down of them."""
    return list(
        await asyncio.gather(
            *(compare(_ours(record), review_like(record), second) for record in records)
        )
    )


async def compare(ours: Ours, review: Mapping[str, Any], second: SecondWebhook) -> Compared:
    """Ask the same of `second`."""
    theirs = await second.ask(review)
    return Compared(ours, theirs, _stand(ours.state, theirs.allowed))


def _stand(state: str, allowed: bool | None) -> Stand:
    if allowed is None:
        return Stand.UNKNOWN
    if state not in (*GOOD, *REFUSED):
        return Stand.NOT_YET
    if (state in GOOD) == allowed:
        return Stand.SAME
    return Stand.LAXER if state in GOOD else Stand.STRICTER


def _ours(record: DecisionRecord) -> Ours:
    where = f"{record.namespace}/" if record.namespace else ""
    return Ours(
        object=f"{record.kind} {where}{record.name or '(no name)'}",
        images=record.images,
        state=record.state,
        reason=record.reason,
        cut=len(record.images) == MAX_IMAGES,
    )


def review_like(record: DecisionRecord) -> dict[str, Any]:
    """The review of an object with what is known of the one that was asked about: kind, namespace,
    name, user, images. Each image stands in a container of its own."""
    pod = {
        "spec": {
            "containers": [
                {"name": f"image-{at}", "image": image}
                for at, image in enumerate(record.images, start=1)
            ]
        }
    }
    key = "generateName" if record.name.endswith("*") else "name"
    content: dict[str, Any] = {
        **_around(record.kind, pod),
        "kind": record.kind,
        "metadata": {key: record.name.removesuffix("*"), "namespace": record.namespace},
    }
    return review_of(with_defaults(content), asker=Asker(record.user))


def _around(kind: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    """An object of that kind that makes such pods."""
    if kind == "Pod":
        return {"apiVersion": "v1", **pod}
    group, version = next(
        ((group, version) for group, version, name in WORKLOADS if name == kind), ("", "v1")
    )
    api = {"apiVersion": f"{group}/{version}" if group else version}
    if kind == "PodTemplate":
        return {**api, "template": pod}
    if kind == "CronJob":
        return {**api, "spec": {"jobTemplate": {"spec": {"template": pod}}}}
    return {**api, "spec": {"template": pod}}
