"""What passes in an emergency, what does not, and what is said of it
(docs/design/behaviour.md 4)."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from services.webhook.let_pass import annotation_of, warning_of
from shared.domain.emergency import (
    LONGEST,
    Emergency,
    emergency_id,
    emergency_key,
    ending,
)
from shared.domain.pointer import MINUTE
from shared.domain.rules import Mode, Rule, Rules, Tags
from shared.domain.signing import Kind
from shared.domain.step import Lane
from shared.ports.verdicts import Put
from shared.runtime.clock import SystemClock
from shared.runtime.logging import JsonFormatter
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.functional.ruling.asking import (
    ENFORCE,
    ask,
    failed,
    globs,
    images,
    ledger,
    push,
    under,
    warnings,
)
from tests.house import House, house, pod, review_of
from tests.waiting import eventually

NEVER = under(Rule(mode=Mode.DENY), name="never", images=images("**/never*"))
WARN = under(Rule(mode=Mode.WARN, tags=Tags.ALLOW), name="w", namespaces=globs("warned"))
AUDIT = under(Rule(mode=Mode.AUDIT, tags=Tags.ALLOW), name="a", namespaces=globs("audited"))
PUT_IN_LATER = "${IMAGE}"
RULES = Rules(rules=(NEVER, WARN, AUDIT), default=ENFORCE, placeholders=(PUT_IN_LATER,))


async def say(home: House, emergency: Emergency) -> None:
    """As `imagegate emergency` does; returns once the webhook knows it."""
    made_at = emergency.made_at
    sealed = PlainSealer().seal(
        emergency,
        kind=Kind.EMERGENCY,
        key=emergency_key(""),
        order=made_at,
        ends=made_at + LONGEST,
    )
    put = await home.backends.exceptions.put(
        sealed, exception_id=emergency_id(""), ends=made_at + LONGEST
    )
    assert put is Put.WRITTEN
    counting = emergency if emergency.counts(SystemClock().now()) else None
    await eventually(lambda: home.book().emergency == counting)


async def declare(home: House, *namespaces: str, life: int = 30 * MINUTE) -> Emergency:
    now = SystemClock().now()
    one = Emergency(namespaces or ("*",), "Redis is broken", "ada", now, until=now + life)
    await say(home, one)
    return one


async def end(home: House, one: Emergency) -> None:
    now = SystemClock().now()
    await say(home, ending(one, now=now, reason="mended", owner="bo", cluster=""))


async def a_failed_image(home: House, name: str = "team/app:1") -> str:
    image = push(home, name)
    await ledger(home).write_verdict(failed(image, "CVE-1"), chain="")
    return str(image)


async def test_what_failed_passes_and_everybody_is_told_until_somebody_ends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        assert (await ask(home, image)).code == 403
        one = await declare(home)
        with caplog.at_level(logging.WARNING):
            answer = await ask(home, image)
        assert answer.allowed
        first, second = warnings(answer)
        assert first.startswith("emergency declared by ada: until 20")
        assert first.endswith(" UTC what would be refused passes here. Redis is broken")
        assert second.startswith("image 127.0.0.1:")
        assert "CVE-1 found" in second
        annotations = answer.response["auditAnnotations"]
        assert annotations["decision"] == "fail"
        assert annotations["emergency"].endswith(" UTC by ada: Redis is broken")
        assert annotations["message"].startswith("let pass in an emergency: image 127.0.0.1:")
        assert "let pass in an emergency" in caplog.messages
        text = await home.metrics()
        assert "\nimagegate_emergency_reviews_total 1.0\n" in text
        assert '\nimagegate_reviews_total{allowed="true",state="fail"} 1.0\n' in text
        (left,) = [
            float(line.split()[1])
            for line in text.splitlines()
            if line.startswith("imagegate_emergency_remaining_seconds ")
        ]
        assert 60 < left <= 1800
        await end(home, one)
        assert (await ask(home, image)).code == 403
        text = await home.metrics()
        assert "\nimagegate_emergency_remaining_seconds 0.0\n" in text
        assert "\nimagegate_emergency_reviews_total 1.0\n" in text

        async def recorded() -> bool:
            stored = await home.backends.decisions.recent(limit=10)
            passed = [each.decision for each in stored if each.decision.allowed]
            return [decision.reason[:24] for decision in passed] == ["let pass in an emergency"]

        await eventually(recorded)


async def test_nobody_waits_for_what_is_not_judged_and_it_is_asked_for_all_the_same(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, rules=RULES, worker=False, wait=30.0) as home:
        image = str(push(home))
        await declare(home)
        answer = await home.review(image)
        assert answer.allowed
        assert "not judged yet" in warnings(answer)[1]
        assert answer.response["auditAnnotations"]["decision"] == "pending"
        lanes = (await home.backends.queue.depths()).lanes
        assert {lane.lane: lane.ready for lane in lanes if lane.ready} == {Lane.PREWARM: 1}


async def test_what_needs_nothing_but_the_rules_to_be_known_stays_refused(tmp_path: Path) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        await declare(home)
        never = f"registry.test/never@sha256:{'a' * 64}"
        for refused in (
            never,
            "a" * 64,
            f"sha256:{'a' * 64}",
            "Registry.test/UPPER",
            "",
            PUT_IN_LATER,
        ):
            answer = await ask(home, refused)
            assert (answer.allowed, answer.code) == (False, 403), refused
            assert "emergency" not in answer.response["auditAnnotations"]
        both = await ask(home, image, never)
        assert both.code == 403
        assert both.message.startswith(f"image {never}: rule never denies it")
        assert both.response["auditAnnotations"]["rule"] == "never"
        many = await ask(home, *[f"a/b:{number}" for number in range(600)])
        assert (many.allowed, many.code) == (False, 403)
        text = await home.metrics()
        assert "\nimagegate_emergency_reviews_total 0.0\n" in text


@pytest.mark.parametrize(
    ("image", "rules"),
    [
        ("docker.io/library/x:1", Rules(allow_registries=("registry.test",))),
        (f"docker.io/library/x@sha256:{'a' * 64}", Rules(allow_registries=("registry.test",))),
        ("docker.io/library/x:1", Rules()),
    ],
)
async def test_what_only_an_enforcing_rule_refuses_passes(
    tmp_path: Path, image: str, rules: Rules
) -> None:
    async with house(tmp_path, rules=rules, worker=False) as home:
        assert not (await home.review(image)).allowed
        await declare(home)
        assert (await home.review(image)).allowed


async def test_it_holds_in_its_namespaces_only(tmp_path: Path) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        await declare(home, "team-*", "other")
        namespaces = ("team-a", "other", "team", "others")
        answers = [await ask(home, image, namespace=namespace) for namespace in namespaces]
        assert [answer.allowed for answer in answers] == [True, True, False, False]


async def test_other_modes_are_what_they_were(tmp_path: Path) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        before = [await ask(home, image, namespace=name) for name in ("warned", "audited")]
        await declare(home)
        after = [await ask(home, image, namespace=name) for name in ("warned", "audited")]
        assert [answer.response for answer in after] == [answer.response for answer in before]


async def test_it_ends_at_its_time_by_itself(tmp_path: Path) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        one = await declare(home, life=5_000)
        allowed = {True: 0, False: 0}
        while not allowed[False]:
            asked_at = SystemClock().now()
            answer = await ask(home, image)
            allowed[answer.allowed] += 1
            assert answer.allowed or SystemClock().now() >= one.until
            assert not answer.allowed or asked_at < one.until
            await asyncio.sleep(0.01)
        assert allowed[True]


async def test_workloads_and_dry_runs_pass_too(tmp_path: Path) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        image = await a_failed_image(home)
        deployment = review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod(image)["spec"]))
        dry = review_of(pod(image), dry_run=True)
        assert [(await home.ask(review)).code for review in (deployment, dry)] == [403, 403]
        await declare(home)
        answers = [await home.ask(review) for review in (deployment, dry)]
        assert [(answer.allowed, warnings(answer)[0][:9]) for answer in answers] == [
            (True, "emergency")
        ] * 2


async def test_each_image_that_passes_stays_named_in_the_log_of_dry_runs_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, rules=RULES, worker=False) as home:
        first, second = [await a_failed_image(home, f"team/{name}:1") for name in ("a", "b")]
        await declare(home)
        with caplog.at_level(logging.WARNING):
            for dry_run in (True, False, False):
                review = review_of(pod(first, second), dry_run=dry_run)
                assert (await home.ask(review)).allowed
        said = [each for each in caplog.records if each.message == "let pass in an emergency"]
        assert [vars(each)["images"] for each in said] == [f"{first}, {second}"] * 3
        assert [vars(each)["dry_run"] for each in said] == ["true", "false", "false"]
        assert "\nimagegate_emergency_reviews_total 3.0\n" in await home.metrics()


async def test_of_a_pod_of_many_images_each_stays_named_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest = f"sha256:{'a' * 64}"
    many = [f"registry.test/{'team/' * 30}app{number}:1@{digest}" for number in range(100)]
    async with house(tmp_path, rules=RULES, worker=False) as home:
        await declare(home)
        with caplog.at_level(logging.WARNING):
            assert (await home.ask(review_of(pod(*many)))).allowed
    said = [each for each in caplog.records if each.message == "let pass in an emergency"]
    lines = [json.loads(JsonFormatter().format(each)) for each in said]
    assert [name for line in lines for name in line["images"].split(", ")] == many
    assert {line["object"] for line in lines} == {lines[0]["object"]}


async def test_pins_are_written_as_before(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(), worker=True) as home:
        image = push(home)
        await declare(home)
        tagged = f"{image.repository}:{image.tag}"

        async def is_pinned() -> bool:
            return "patch" in (await home.mutate(review_of(pod(tagged)))).response

        await eventually(is_pinned)
        made = await home.deploy(pod(tagged))
        assert made.answer.allowed
        pinned = f"{tagged}@{image.digest}"
        assert made.images == [pinned]


def test_the_warning_fits_whatever_its_texts_are() -> None:
    now = SystemClock().now()
    one = Emergency(("*",), "r" * 512, "o" * 512, now, until=now + MINUTE)
    for line in (warning_of(one), annotation_of(one)):
        assert len(line) <= 256
        assert json.dumps(line)
        assert "o" * 38 in line
        assert "r" * 50 in line, "a long owner leaves room for the reason"
