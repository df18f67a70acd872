"""What is in use is judged anew before anybody is kept waiting by it: a policy that changes, and a
verdict that goes stale, in a whole house (docs/design/refresh.md)."""

import asyncio
import copy
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.webhook.entries import RECHECK
from services.worker.ledger import Ledger
from services.worker.settings import WorkerSettings
from shared.domain.pointer import DAY, MINUTE
from shared.domain.reference import ImageReference
from shared.domain.revision import Revision
from shared.domain.rules import Rule, Rules, Tags
from shared.domain.verdict import Outcome, Question, Subject, Verdict, verdict_key
from shared.domain.why import Why
from shared.ports.usage import Use
from shared.runtime.clock import SystemClock
from tests.contract.stores import listening
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.house import House, house
from tests.waiting import eventually

IMAGES = [tiny_image(config={"Labels": {"which": str(number)}}) for number in range(6)]
WATCHFUL = WorkerSettings(imagegate_policy_every=1.0, imagegate_refresh_rate=2.0)


@asynccontextmanager
async def home_with(tmp_path: Path, *, turn_grace: int = 0) -> AsyncIterator[House]:
    rules = Rules(default=Rule(turn_grace=turn_grace, tags=Tags.ALLOW))
    async with house(tmp_path, rules=rules, worker_settings=WATCHFUL) as running:
        yield running


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with home_with(tmp_path) as running:
        yield running


def pen(home: House, sealer: PlainSealer | None = None) -> Ledger:
    sealer = sealer or PlainSealer()
    return Ledger(store=home.backends.store, sealer=sealer, unsealer=sealer, clock=SystemClock())


async def judged(home: House, number: int) -> ImageReference:
    """One more image that passes, by its digest."""
    reference = home.registry.put(IMAGES[number], f"team/app{number}:1")
    reference = msgspec.structs.replace(reference, digest=IMAGES[number].digest)
    assert (await home.settled(str(reference))).allowed
    return reference


async def verdict_of(home: House, reference: ImageReference) -> Verdict:
    subject = Subject(reference.repository, str(reference.digest), reference.tag)
    verdict = await pen(home).verdict(subject, Question())
    assert verdict is not None
    return verdict


async def used(home: House, *references: ImageReference) -> None:
    """These were used, the last of them last; as a webhook's next batch would tell."""
    now = SystemClock().now()
    await home.backends.usage.record(
        {Use(str(each), Question()): now - 100 + place for place, each in enumerate(references)}
    )


async def change_policy(home: House, name: str = "stricter") -> None:
    """Somebody changes the active policy at Anchore, and nobody tells us."""
    await asyncio.sleep(1.1)  # Anchore tells whole seconds, and the newer evaluation counts
    record: Any = home.anchore.store.policies["admin"]["fake-baseline"]
    record["policybundle"] = copy.deepcopy(record["policybundle"]) | {"name": name}


async def revision(home: House) -> Revision | None:
    return await pen(home).revision(Question())


def scraped(home: House, name: str) -> float | None:
    for line in home.worker_metrics.render().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return None


async def test_what_pods_use_is_known_to_the_workers_and_a_dry_run_uses_nothing(
    home: House,
) -> None:
    image = await judged(home, 0)
    await home.settled(str(home.registry.put(IMAGES[1], "team/only-dry:1")), dry_run=True)
    await home.review(home.registry.host + "/team/nobody-has-it:1")

    async def known() -> bool:
        return await home.backends.usage.count() > 0

    await eventually(known, within=30.0)
    (only,) = await home.backends.usage.recent(limit=10)
    assert only.use == Use(str(image), Question())


async def test_what_is_in_use_and_signed_by_a_stranger_is_counted_once(home: House) -> None:
    forged = msgspec.structs.replace(
        home.registry.put(IMAGES[0], "team/app:1"), digest=IMAGES[0].digest
    )
    subject = Subject(forged.repository, str(forged.digest), forged.tag)
    verdict = Verdict(subject, Question(), Outcome.PASS, evaluated_at=SystemClock().now())
    await pen(home, PlainSealer(b"a stranger's")).write_verdict(verdict, chain="")
    await used(home, forged)
    await eventually(lambda: scraped(home, "imagegate_bad_signatures_total") == 1)
    assert not home.asked_of_anchore


async def test_a_policy_that_changes_is_seen_without_any_evaluation(home: House) -> None:
    await judged(home, 0)
    before = await revision(home)
    checks = home.anchore.store.calls["image_check"]
    await change_policy(home)

    async def seen() -> bool:
        now = await revision(home)
        return before is not None and now is not None and now.revision != before.revision

    await eventually(seen)
    assert home.anchore.store.calls["image_check"] == checks


async def test_after_a_change_what_is_in_use_is_judged_anew_the_last_used_first(
    home: House,
) -> None:
    images = [await judged(home, number) for number in range(5)]
    order = [images[number] for number in (3, 0, 4, 1, 2)]
    await asyncio.sleep(RECHECK + 0.5)  # what was answered a moment ago is no new use
    for image in reversed(order):
        assert (await home.review(str(image))).allowed
        await asyncio.sleep(0.05)  # uses are told apart by milliseconds

    async def known() -> bool:
        recent = await home.backends.usage.recent(limit=10)
        return [one.use.reference for one in recent] == [str(image) for image in order]

    await eventually(known, within=60.0)
    before = {image: await verdict_of(home, image) for image in images}
    async with listening(home.backends.store) as ear:
        await change_policy(home)

        def of_verdicts() -> list[str]:
            return [key for key in ear.heard if key and key.startswith("verdict:")]

        await eventually(lambda: len(of_verdicts()) >= 5, within=60.0)
    keys = {verdict_key(before[image].subject, Question()): image for image in images}
    assert [keys[key] for key in of_verdicts()] == order
    now = await revision(home)
    assert now is not None
    for image in order:
        verdict = await verdict_of(home, image)
        assert verdict.revision == now.revision != before[image].revision
        assert verdict.why is Why.REFRESH


@pytest.mark.parametrize(("grace", "runs"), [(3600.0, True), (0.0, False)])
async def test_a_verdict_of_a_replaced_policy_is_served_for_as_long_as_is_set(
    tmp_path: Path, grace: float, runs: bool
) -> None:
    async with house(tmp_path, worker_settings=WATCHFUL, policy_grace=grace) as home:
        image = await judged(home, 0)
        home.anchore.store.fault("image_check", "500")
        before = await revision(home)
        await change_policy(home)

        async def changed() -> bool:
            now = await revision(home)
            return before is not None and now is not None and now.revision != before.revision

        await eventually(changed, within=30.0)

        async def answered() -> bool:
            return (await home.review(str(image))).allowed is runs

        await eventually(answered, within=30.0)
        assert await answered()


@pytest.mark.parametrize("turn_grace", [0, DAY])
async def test_a_pass_that_a_new_policy_turns_is_denied_unless_its_rule_has_a_grace(
    tmp_path: Path, turn_grace: int
) -> None:
    async with home_with(tmp_path, turn_grace=turn_grace) as home:
        image = await judged(home, 0)
        await used(home, image)
        home.anchore.store.decide(str(image.digest), "stop")
        await change_policy(home)

        async def turned() -> bool:
            return (await verdict_of(home, image)).turned_at is not None

        await eventually(turned)
        verdict = await verdict_of(home, image)
        assert verdict.turned_by == "policy"

        async def heard() -> bool:
            answer = await home.review(str(image))
            if turn_grace:
                return "allowed until" in str(answer.response.get("warnings"))
            return answer.code == 403

        await eventually(heard)
        assert (await home.review(str(image))).allowed == bool(turn_grace)


async def test_a_round_in_which_too_many_passes_turn_is_an_error_with_its_cause_and_numbers(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    images = [await judged(home, number) for number in range(6)]
    await used(home, *images)
    for image in images[:2]:
        home.anchore.store.decide(str(image.digest), "stop")
    await change_policy(home)

    def said() -> list[logging.LogRecord]:
        return [line for line in caplog.records if line.message.startswith("more than a fifth")]

    await eventually(lambda: bool(said()), within=60.0)
    (line,) = said()
    now = await revision(home)
    assert now is not None
    told = line.__dict__
    assert (line.levelno, told["cause"], told["revision"]) == (
        logging.ERROR,
        "policy",
        now.revision,
    )
    assert (told["judged_anew"], told["turned"], told["left"]) == (6, 2, 0)
    name = "imagegate_reevaluated_passes_total"
    assert scraped(home, f'{name}{{cause="policy",outcome="turned"}}') == 2
    assert scraped(home, f'{name}{{cause="policy",outcome="kept"}}') == 4
    assert scraped(home, 'imagegate_policy_round_verdicts{state="left"}') == 0
    assert scraped(home, "imagegate_leader") == 1


async def test_a_verdict_in_use_is_renewed_before_it_is_stale(home: House) -> None:
    reference = home.registry.put(IMAGES[0], "team/app:1")
    image = msgspec.structs.replace(reference, digest=IMAGES[0].digest)
    home.anchore.store.know(IMAGES[0].digest, reference.tagged)
    subject = Subject(image.repository, IMAGES[0].digest, image.tag)
    at = SystemClock().now() - 50 * MINUTE
    old = Verdict(subject, Question(), Outcome.PASS, evaluated_at=at)
    await pen(home).write_verdict(old, chain="")
    await used(home, image)

    async def renewed() -> bool:
        return (await verdict_of(home, image)).evaluated_at > at

    await eventually(renewed, within=60.0)
    assert scraped(home, 'imagegate_refreshes_total{outcome="asked",stand="due"}') == 1
    pointer = await pen(home).pointer(reference)
    assert pointer is not None
    assert pointer.digest == IMAGES[0].digest
    assert home.anchore.store.submits.total() == 0
