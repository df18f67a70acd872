"""Images for several platforms (docs/design/behaviour.md 2): as good as the worst manifest that a
runtime could choose, by a signed record of what the index names."""

from pathlib import Path

import pytest

from shared.adapters.signatures import ensure_keys, load_sealer
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE, Index, Manifest, index_key
from shared.domain.rules import PinWhat, Rules
from shared.domain.signing import Kind
from shared.domain.verdict import MAX_AGE, Outcome
from tests.functional.timeline.columns import (
    EVERY,
    PINNED,
    PINNED_TAG,
    TAGS,
    A,
    B,
    C,
    Column,
    columns,
    renewed,
    requested,
    with_and_without_pinning,
)
from tests.functional.timeline.site import Site

AMD64, ARM64 = Manifest(B, "linux", "amd64"), Manifest(C, "linux", "arm64")
ALSO_AMD64 = Manifest(C, "linux", "amd64", "v3")


async def knows_index(site: Site, *manifests: Manifest) -> None:
    """A is an index, and what its tag names."""
    await site.points(A, is_index=True)
    await site.names(A, *manifests)


@columns(EVERY)
async def test_every_manifest_that_counts_has_to_be_judged(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await knows_index(site, AMD64, ALSO_AMD64)
    image = column.pinned
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(image)]
    await site.judges(B, tag=column.tag)
    assert (await webhook.start(column)).state is State.PENDING
    await site.judges(C, tag=column.tag)
    started = await webhook.start(column)
    assert (started.state, started.waited, started.image) == (State.PASS, False, image)


@columns(EVERY)
async def test_one_that_fails_decides_whatever_is_known_of_the_others(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await knows_index(site, AMD64, ALSO_AMD64)
    await site.judges(C, Outcome.FAIL, tag=column.tag)
    assert (await webhook.start(column)).code == 403
    await site.judges(B, tag=column.tag)
    assert (await webhook.start(column)).state is State.FAIL


@with_and_without_pinning
@columns(PINNED)
async def test_a_pinned_index_needs_no_registry_and_no_pointer(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await site.names(A, AMD64, ARM64)
    await site.judges(B, tag=column.tag)
    started = await webhook.start(column)
    assert (started.state, started.waited, started.image) == (State.PASS, False, column.image)
    assert await site.asked() == []


async def test_a_pinned_index_of_which_nothing_is_written_down_is_unknown(site: Site) -> None:
    webhook = await site.webhook()
    await site.judges(B)
    assert (await webhook.start(PINNED_TAG)).state is State.PENDING
    assert await site.asked() == [requested(PINNED_TAG.image)]


async def test_an_index_that_somebody_else_wrote_down_is_unknown_and_counted(
    site: Site, tmp_path: Path
) -> None:
    """It would leave the manifest out that fails."""
    webhook = await site.webhook()
    await site.judges(B)
    key, at = index_key(A), site.clock.now()
    strangers = load_sealer(ensure_keys(tmp_path / "strangers"))
    record, kind, ends = Index(A, (AMD64,), at), Kind.INDEX, at + DAY
    for number, forged in enumerate(
        (
            strangers.seal(record, kind=kind, key=key, order=at, ends=ends),
            site.sealer.seal(record, kind=kind, key=index_key(B), order=at + 1, ends=ends),
        ),
        start=1,
    ):
        await site.writes(key, forged)
        assert (await webhook.start(PINNED_TAG)).state is State.PENDING
        assert webhook.bad.count(key) == number
    site.clock.advance(1_000)
    await site.names(A, AMD64, ALSO_AMD64)
    await site.judges(C, Outcome.FAIL)
    assert (await webhook.start(PINNED_TAG)).state is State.FAIL


@pytest.mark.parametrize(
    ("platforms", "state"),
    [
        (("linux/amd64",), State.PASS),
        (("linux/arm64",), State.FAIL),
        (("linux/amd64", "linux/arm64"), State.FAIL),
        (("linux/arm64", "linux/amd64"), State.FAIL),
        (("linux/amd64", "windows/amd64"), State.PASS),
    ],
)
async def test_which_manifests_count_is_for_the_platforms_of_the_rules_to_say(
    site: Site, platforms: tuple[str, ...], state: State
) -> None:
    webhook = await site.webhook(rules=Rules(platforms=platforms))
    await site.names(A, AMD64, ARM64)
    await site.judges(B)
    await site.judges(C, Outcome.FAIL)
    assert (await webhook.start(PINNED_TAG)).state is state


@pytest.mark.parametrize(
    "hidden",
    [
        Manifest(C, "linux", "amd64", "v9"),
        Manifest(C),
        Manifest(C, "linux", "amd64"),
        Manifest(C, "linux", "386"),
    ],
    ids=["a variant", "no platform", "the same platform", "the lesser architecture"],
)
async def test_a_manifest_that_a_runtime_could_choose_is_not_overlooked(
    site: Site, hidden: Manifest
) -> None:
    webhook = await site.webhook()
    await site.names(A, AMD64, hidden)
    await site.judges(B)
    assert (await webhook.start(PINNED_TAG)).state is State.PENDING
    await site.judges(C, Outcome.FAIL)
    assert (await webhook.start(PINNED_TAG)).state is State.FAIL


@columns(EVERY)
async def test_an_index_without_a_manifest_for_this_cluster_is_a_fail_that_says_so(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await knows_index(site, ARM64, Manifest(B, "unknown", "unknown"))
    await site.judges(C, tag=column.tag)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.FAIL, 403)
    assert "no manifest for this cluster: the index has none for linux/amd64" in (
        started.decision.message
    )
    assert await site.asked() == []


@columns(EVERY)
async def test_the_stalest_manifest_has_the_index_judged_anew(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await knows_index(site, AMD64, ALSO_AMD64)
    await site.judges(B, tag=column.tag)
    await site.judges(C, tag=column.tag, age=2 * 60 * MINUTE)
    assert (await webhook.start(column)).allowed
    image = column.pinned
    assert await site.asked() == [renewed(image)]


async def test_the_error_of_one_manifest_is_the_answer_about_the_index(site: Site) -> None:
    webhook = await site.webhook()
    await site.names(A, AMD64, ALSO_AMD64)
    await site.judges(B)
    await site.fails_to_judge(C, ErrorKind.ANALYSIS_FAILED)
    started = await webhook.start(PINNED_TAG)
    assert (started.state, started.code) == (State.ERROR, 403)


@columns(TAGS)
async def test_a_verdict_about_the_index_itself_is_not_asked_for(
    site: Site, column: Column
) -> None:
    """Its verdict is that of its manifests, never one of its own."""
    webhook = await site.webhook(pin=PinWhat.NONE)
    await knows_index(site, AMD64)
    await site.judges(A)
    assert (await webhook.start(column)).state is State.PENDING


async def test_what_an_index_names_is_known_for_longer_than_any_verdict(site: Site) -> None:
    webhook = await site.webhook()
    await site.names(A, AMD64, age=MAX_AGE + DAY)
    await site.judges(B)
    assert (await webhook.start(PINNED_TAG)).allowed
