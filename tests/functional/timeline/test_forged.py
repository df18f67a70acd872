"""Nothing that decides comes unsigned from the store (docs/design/behaviour.md 2): what strangers
write about tags and policies. About verdicts and indexes: test_verdicts and test_indexes."""

from pathlib import Path

import pytest

from shared.adapters.signatures import ensure_keys, load_sealer
from shared.domain.decision import State
from shared.domain.pointer import MINUTE, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision, revision_key
from shared.domain.rules import PinWhat
from shared.domain.signing import Kind
from shared.ports.signing import Sealer
from tests.functional.timeline.columns import (
    EVERY,
    TAG,
    TAGS,
    A,
    B,
    Column,
    columns,
    with_and_without_pinning,
)
from tests.functional.timeline.site import QUESTION, Site

POINTER = pointer_key(parse_reference(TAG))
ANOTHER = pointer_key(parse_reference("registry.corp/team/other:1"))


def strangers(folder: Path) -> Sealer:
    return load_sealer(ensure_keys(folder / "strangers"))


@pytest.mark.parametrize("moved", [False, True], ids=["of strangers", "of another tag"])
@with_and_without_pinning
@columns(TAGS)
async def test_a_pointer_that_no_worker_signed_for_this_tag_moves_it_nowhere(
    site: Site, tmp_path: Path, column: Column, pin: PinWhat, *, moved: bool
) -> None:
    """B would pass: it is not what the tag names."""
    webhook = await site.webhook(pin=pin)
    await site.judges(B)
    at = site.clock.now()
    named = Pointer(TAG, asked_at=at, digest=B, known_since=at)
    sealer, key = (site.sealer, ANOTHER) if moved else (strangers(tmp_path), POINTER)
    forged = sealer.seal(named, kind=Kind.POINTER, key=key, order=at, ends=at + MINUTE)
    await site.writes(POINTER, forged)
    started = await webhook.start(column)
    assert (started.state, started.image) == (State.PENDING, TAG)
    assert set(webhook.bad) == {POINTER}
    site.clock.advance(1_000)
    await site.points(B)
    assert (await webhook.start(column)).allowed


@columns(EVERY)
async def test_a_revision_that_no_worker_signed_outdates_no_verdict(
    site: Site, tmp_path: Path, column: Column
) -> None:
    webhook = await site.webhook(policy_grace=0)
    await site.points(A)
    await site.judges(A, tag=column.tag, revision="old", age=1)
    at, key = site.clock.now(), revision_key(QUESTION)
    record = Revision(QUESTION, "baseline", "new", seen_at=at)
    forged = strangers(tmp_path).seal(
        record, kind=Kind.REVISION, key=key, order=at, ends=at + MINUTE
    )
    await site.writes(key, forged)
    assert (await webhook.start(column)).state is State.PASS
    assert set(webhook.bad) == {key}
    assert await site.asked() == []
    site.clock.advance(1_000)
    await site.changes_policy("new")
    assert (await webhook.start(column)).state is State.PENDING
