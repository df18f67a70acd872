"""An emergency from what is typed to what runs: two webhooks, a real Redis, real keys and files."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.cli.local.wiring import make_keys
from shared.adapters.signatures import key_id_of
from shared.domain.signing import Role
from tests.functional.cli.commands import Ran, imagegate
from tests.integration.test_exceptions import Site, Webhook, all_say
from tests.servers.redis import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.servers

WHY = ("--reason", "INC-1: Redis is being restored", "--owner", "ada")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", persistent=True) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer) -> Site:
    return Site(tmp_path, redis)


@pytest.fixture
async def webhooks(site: Site) -> AsyncIterator[list[Webhook]]:
    async with site.webhook("one") as one, site.webhook("two") as two:
        yield [one, two]


async def shown(site: Site) -> dict[str, Any]:
    """What `imagegate emergency show` tells; its exit code says whether there is one."""
    ran = await typed(site, "emergency", "show", "-o", "json")
    report: dict[str, Any] = json.loads(ran.out)
    assert (ran.code, ran.err) == (int(bool(report["counts_in"])), "")
    return report


async def typed(site: Site, *words: str, key: str = "operator", **environ: str) -> Ran:
    return await imagegate(
        *words,
        state=site.folder,
        REDIS_URL=site.redis.url,
        IMAGEGATE_KEYS=str(site.folder / "ring"),
        IMAGEGATE_OPERATOR_KEYS=str(site.folder / key),
        **environ,
    )


async def test_what_is_declared_counts_in_every_webhook_until_somebody_ends_it(
    site: Site, webhooks: list[Webhook]
) -> None:
    await all_say(webhooks, allowed=False)
    assert (await shown(site))["state"] == "none"
    said = await site.operator("emergency", "audit", "--for", "1h", "-n", "te*", *WHY)
    assert "nothing is refused but what rules of mode deny name" in said
    assert "It counts in 2 of 2 webhooks" in said
    assert all([await each.allows() for each in webhooks])
    assert not await webhooks[0].allows(namespace="elsewhere")
    report = await shown(site)
    assert (report["state"], report["owner"], report["namespaces"]) == ("declared", "ada", ["te*"])
    assert len(report["counts_in"]) == len(report["webhooks"]) == 2
    for webhook in webhooks:
        assert 3_000 < await webhook.metric("imagegate_emergency_remaining_seconds") <= 3_600
        assert await webhook.metric("imagegate_emergency_reviews_total") >= 1
    assert await site.listed() == [], "it is no exception"

    said = await site.operator("emergency", "end", "--reason", "restored")
    assert "It goes on in 0 of 2 webhooks" in said
    assert not any([await each.allows() for each in webhooks])
    assert (await shown(site))["state"] == "ended"


async def test_another_one_replaces_it(site: Site, webhooks: list[Webhook]) -> None:
    await site.operator("emergency", "audit", "--for", "1h", *WHY)
    assert all([await each.allows() for each in webhooks])
    await site.operator("emergency", "audit", "--for", "1h", "-n", "elsewhere", *WHY)
    assert not any([await each.allows() for each in webhooks])
    assert await webhooks[1].allows(namespace="elsewhere")


async def test_a_webhook_that_goes_on_by_the_one_before_is_named(site: Site) -> None:
    """It has not heard of the operator who narrows it, and goes on to refuse nothing anywhere."""
    shutil.copytree(site.folder / "ring", site.folder / "old")
    new = make_keys(site.folder / "new", role=Role.OPERATOR).public
    key = load_pem_public_key(new.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    shutil.copy(new, site.folder / "ring" / f"operator-{key_id_of(key)}.pub")
    async with site.webhook("one") as one, site.webhook("two", ring="old") as two:
        await site.operator("emergency", "audit", "--for", "1h", *WHY)
        assert [await one.allows(), await two.allows()] == [True, True]

        words = ("emergency", "audit", "--for", "1h", "-n", "elsewhere", *WHY)
        ran = await typed(site, *words, key="new")
        assert ran.code == 1
        assert "It counts in 1 of 2 webhooks" in ran.out
        assert ran.out.count("not heard in webhook@") == 1
        assert [await one.allows(), await two.allows()] == [False, True]

        told = await typed(site, "emergency", "show")
        assert "it counts in 1 of 2 webhooks, another one in 1" in told.out
        assert told.out.count(": another one, signed ") == 1

        ran = await typed(site, "emergency", "end", key="new")
        assert ran.code == 1
        assert "It goes on in 1 of 2 webhooks" in ran.out
        assert [await one.allows(), await two.allows()] == [False, True]


async def test_one_that_was_away_hears_that_its_own_ended_though_another_cluster_declared(
    site: Site,
) -> None:
    for_a, for_b = ("--cluster", "a"), ("--cluster", "b")
    declared = site.exceptions / "now.exception"
    async with site.webhook("one", cluster="a") as one, site.webhook("two", cluster="b") as two:
        await site.operator(
            "emergency", "audit", "--for", "1h", *WHY, *for_a, "--out", str(declared)
        )
        await all_say([one], allowed=True)
        assert not await two.allows()
        said = await site.operator("emergency", "end", *for_a)
        assert "It goes on in 0 of 1 webhooks" in said
        said = await site.operator("emergency", "audit", "--for", "1h", *WHY, *for_b)
        assert "It counts in 1 of 1 webhooks" in said
        assert [await one.allows(), await two.allows()] == [False, True]
    # This one knows of the beginning by the file, and of the end by Redis alone.
    async with site.webhook("three", cluster="a") as three:
        assert not await three.allows()


async def test_two_clusters_have_one_each_at_once(site: Site) -> None:
    for_a, for_b = ("--cluster", "a"), ("--cluster", "b")
    async with site.webhook("one", cluster="a") as one, site.webhook("two", cluster="b") as two:
        await site.operator("emergency", "audit", "--for", "1h", *WHY, *for_a)
        await site.operator("emergency", "audit", "--for", "2h", *WHY, *for_b)
        assert [await one.allows(), await two.allows()] == [True, True]
        async with site.webhook("three", cluster="a") as three:
            assert await three.allows(), "what b declared took nothing away"
        assert await one.metric("imagegate_bad_signatures_total") == 0
        told = await typed(site, "emergency", "show", *for_b)
        assert (told.code, "it counts in 1 of 1 webhooks" in told.out) == (1, True)
        await site.operator("emergency", "end", *for_b)
        assert [await one.allows(), await two.allows()] == [True, False]
        told = await typed(site, "emergency", "show", *for_b)
        assert told.code == 0
        assert "elsewhere: cluster a: declared" in told.out
        assert await site.listed() == []


async def test_with_redis_away_files_declare_and_end_it(
    site: Site, webhooks: list[Webhook]
) -> None:
    site.redis.stop()
    await all_say(webhooks, allowed=False)
    refused = await typed(site, "emergency", "audit", "--for", "1h", *WHY)
    assert refused.code == 2
    assert "say the same with --out FILE.exception" in refused.err
    declared, over = site.exceptions / "now.exception", site.exceptions / "over.exception"
    await site.operator("emergency", "audit", "--for", "1h", *WHY, "--out", str(declared))
    await all_say(webhooks, allowed=True)
    await site.operator("emergency", "end", "--out", str(over))
    await all_say(webhooks, allowed=False)
    # One that starts now, with nothing but the folder, says the same.
    async with site.webhook("three") as three:
        assert not await three.allows()


async def test_what_ended_it_goes_on_to_hold_when_a_thief_takes_it_out_of_redis(
    site: Site, webhooks: list[Webhook]
) -> None:
    await site.operator("emergency", "audit", "--for", "1h", *WHY)
    before = site.redis.command("HGET", "ig1:exceptions", "emergency")
    await site.operator("emergency", "end")
    site.redis.command("HSET", "ig1:exceptions", "emergency", before)
    site.redis.command("PUBLISH", "ig1:changed", "exception:emergency")
    await asyncio.sleep(1)
    assert not any([await each.allows() for each in webhooks])
    # What a thief can do: a webhook that never saw the end believes it, until the hour is over.
    async with site.webhook("three") as three:
        assert await three.allows()
        await site.operator("emergency", "end")
        await all_say([three, *webhooks], allowed=False)


async def test_nobody_else_can_declare_one(site: Site, webhooks: list[Webhook]) -> None:
    out = site.folder / "now.exception"
    await site.operator("emergency", "audit", "--for", "1h", *WHY, "--out", str(out))
    sealed = out.read_bytes().strip()
    longer = sealed.replace(b'"te', b'"*"')
    site.redis.command("HSET", "ig1:exceptions", "another", sealed)
    site.redis.command("HSET", "ig1:exceptions", "emergency", longer[:-2] + b" " + longer[-2:])
    for name in ("another", "emergency"):
        site.redis.command("ZADD", "ig1:exceptions:ends", 10**14, name)
    site.redis.command("PUBLISH", "ig1:changed", "exception:emergency")

    async def both_are_counted() -> bool:
        line = "imagegate_bad_signatures_total"
        return all([await each.metric(line) >= 2 for each in webhooks])

    await eventually(both_are_counted)
    assert not any([await each.allows() for each in webhooks])
    report = json.loads((await typed(site, "emergency", "show", "-o", "json")).out)
    assert report["state"] == "not believed"
    assert report["counts_in"] == []


async def test_a_cluster_that_no_webhook_is_of_is_told_with_those_that_are(
    site: Site, webhooks: list[Webhook]
) -> None:
    ran = await typed(site, "emergency", "audit", "--for", "1h", *WHY, "--cluster", "another")
    assert ran.code == 1
    assert "No webhook of cluster another was heard lately" in ran.out
    assert "Webhooks were heard of cluster (has no name)" in ran.out
    assert " emergency end --cluster another\n" in ran.out
    assert not any([await each.allows() for each in webhooks])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--for", "25h", *WHY), "--for: must be 1m to 1d, not 25h"),
        (("--for", "2", *WHY), "--for: '2' is no duration"),
        (("--for", "1h", "--reason", " "), "--reason: must be 1 to 512 printable characters"),
        (("--for", "1h", *WHY, "-n", "Team"), "--namespace: "),
        (("--for", "1h", *WHY, "--cluster", "a@b"), "--cluster: must be at most 63 of a-z, 0-9"),
    ],
)
async def test_what_cannot_be_signed_is_said_in_the_commands_own_words(
    site: Site, words: tuple[str, ...], why: str
) -> None:
    ran = await typed(site, "emergency", "audit", *words)
    assert ran.code == 2
    assert why in ran.err
    assert site.redis.command("EXISTS", "ig1:exceptions") == 0


@pytest.mark.parametrize("words", [("audit", "--for", "1h", *WHY), ("end",), ("show",)])
async def test_a_wrong_setting_is_one_line_at_night_too(site: Site, words: tuple[str, ...]) -> None:
    ran = await typed(site, "emergency", *words, IMAGEGATE_CLUSTER="Prod")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: IMAGEGATE_CLUSTER must be ")
    assert ran.err.count("\n") == 1


async def test_a_workers_key_declares_none(site: Site) -> None:
    ran = await typed(site, "emergency", "audit", "--for", "1h", *WHY, key="worker")
    assert ran.code == 2
    assert "operator.key" in ran.err
