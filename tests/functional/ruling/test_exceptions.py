"""Exceptions, and fails that run on: what lets an image pass that its policy refuses
(docs/design/behaviour.md 2 and 4)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared.domain.exceptions import ImageException
from shared.domain.pointer import DAY, MINUTE, Pointer
from shared.domain.rules import Rules
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.runtime.clock import SystemClock
from tests.functional.ruling.asking import (
    DENIED,
    ENFORCE,
    ask,
    failed,
    globs,
    ledger,
    push,
    under,
    warnings,
)
from tests.house import PERSON, House, house, pod, review_of
from tests.waiting import eventually


def exception(
    image: str, *findings: str, seconds: float = 600, namespaces: Sequence[str] = ("*",)
) -> ImageException:
    expires = SystemClock().now() + round(1000 * seconds)
    reason = f"no fix of {findings[0]} yet"
    return ImageException(image, findings, tuple(namespaces), reason, "team-a", expires)


async def test_an_exception_covers_a_fail_whose_every_finding_it_names(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False) as home:
        image = push(home)
        await ledger(home).write_verdict(failed(image, "CVE-1", "CVE-2"), chain="")
        assert (await ask(home, str(image))).code == 403

        def except_(*exceptions: ImageException) -> None:
            home.book.rules_changed(msgspec.structs.replace(home.book.rules, exceptions=exceptions))

        one = exception(image.repository, "CVE-1", namespaces=["team"])
        except_(one)
        assert (await ask(home, str(image))).code == 403
        except_(one, exception(image.repository, "CVE-2"))
        answer = await ask(home, str(image))
        assert answer.allowed
        assert answer.response["auditAnnotations"]["decision"] == "excepted"
        assert "(team-a)" in answer.response["auditAnnotations"]["exceptions"]
        assert len(warnings(answer)) == 2
        assert " by an exception of team-a: no fix of CVE-1 yet" in warnings(answer)[0]
        assert (await ask(home, str(image), namespace="other")).code == 403
        except_()
        assert (await ask(home, str(image))).code == 403


async def test_an_exception_for_a_digest_is_decided_without_anybody_being_asked(
    tmp_path: Path,
) -> None:
    digest = f"registry.test/team/app@sha256:{'a' * 64}"
    rules = Rules(default=ENFORCE, exceptions=(exception(digest, "all", namespaces=["team"]),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        answer = await ask(home, digest)
        assert answer.allowed
        assert answer.response["auditAnnotations"]["decision"] == "exempt"
        assert "(team-a)" in answer.response["auditAnnotations"]["exceptions"]
        (warning,) = warnings(answer)
        assert " by an exception of team-a: no fix of all yet" in warning
        text = await home.metrics()
        assert '\nimagegate_image_lookups_total{layer="store"} 0.0\n' in text
        record = await last_record(home)
        assert (record.state, record.reason, record.rule) == ("exempt", warning, "default")


async def last_record(home: House) -> DecisionRecord:
    found: list[StoredDecision] = []

    async def written() -> bool:
        nonlocal found
        found = await home.backends.decisions.recent(limit=1)
        return bool(found)

    await eventually(written)
    return found[0].decision


async def codes_around(home: House, review: dict[str, Any], end: int) -> tuple[set[int], set[int]]:
    """Which codes came before `end` (ms), and which after it."""
    before: set[int] = set()
    after: set[int] = set()
    while not after:
        began = SystemClock().now()
        code = (await home.ask(review)).code
        if began >= end:
            after.add(code)
        elif SystemClock().now() < end:
            before.add(code)
        await asyncio.sleep(0.02)
    return before, after


async def test_an_exception_that_ends_ends_what_was_kept_of_it(tmp_path: Path) -> None:
    digest = f"registry.test/team/app@sha256:{'a' * 64}"
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False, wait=0.05) as home:
        image = push(home)
        await ledger(home).write_verdict(failed(image, "CVE-1"), chain="")
        exceptions = (
            exception(digest, "all", seconds=5),
            exception(image.repository, "CVE-1", seconds=5),
        )
        home.book.rules_changed(msgspec.structs.replace(home.book.rules, exceptions=exceptions))
        seen = await asyncio.gather(
            *(
                codes_around(home, review_of(pod(where)), one.expires)
                for one, where in zip(exceptions, (digest, str(image)), strict=True)
            )
        )
        for before, after in seen:
            assert before == {200}
            assert after <= {403, 429}


async def test_a_fail_that_replaced_a_pass_runs_on_for_the_time_that_its_rule_grants(
    tmp_path: Path,
) -> None:
    patient = msgspec.structs.replace(ENFORCE, turn_grace=DAY)
    rules = Rules(
        default=ENFORCE, rules=(under(patient, name="patient", namespaces=globs("team")),)
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        now = SystemClock().now()
        end = now + 6_000
        late, soon = push(home, "team/late:1"), push(home, "team/soon:1")
        for image, ends in ((late, end - MINUTE), (soon, end)):
            await ledger(home).write_pointer(Pointer(image.tagged, now, digest=image.digest))
            verdict = failed(image, "CVE-1", turned_at=ends - DAY)
            await ledger(home).write_verdict(verdict, chain="")
        assert (await ask(home, str(late))).code == 403
        answer = await ask(home, str(soon))
        assert answer.allowed
        (warning,) = warnings(answer)
        assert " only, then refused by policy strict: CVE-1 found. See: " in warning
        assert (await ask(home, str(soon), namespace="other")).code == 403
        before, after = await codes_around(home, review_of(pod(str(soon))), end)
        assert (before, after) == ({200}, {403})
        text = await home.metrics()
        assert '\nimagegate_reviews_total{allowed="true",state="turned"} ' in text


# Rules that change


async def test_other_rules_hold_for_the_next_review_whatever_was_kept(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(default=ENFORCE)) as home:
        image = str(push(home))
        assert (await ask(home, image)).allowed
        assert (await ask(home, image)).allowed
        before = home.book.rules
        home.book.rules_changed(msgspec.structs.replace(before, default=DENIED))
        assert (await ask(home, image)).code == 403
        home.book.rules_changed(before)
        assert (await ask(home, image)).allowed


async def test_what_a_dry_run_may_is_not_kept_for_a_pod(tmp_path: Path) -> None:
    nobody = f"registry.test/nobody@sha256:{'b' * 64}"
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False, wait=0.1) as home:
        for _ in range(3):
            assert (await home.review(nobody, dry_run=True, user=PERSON)).allowed
            assert (await home.review(nobody)).code == 429
