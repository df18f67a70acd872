"""What a cluster runs is judged before imagegate may refuse it, and what would become of it is
told: by the webhooks' own rules, and as they would find."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cli.prewarm.found import Found
from services.cli.prewarm.rows import Outcome, Row
from shared.domain.decision import State
from shared.domain.exceptions import ALL, ImageException
from shared.domain.glob import Glob
from shared.domain.pointer import DAY, MINUTE, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.rules import Match, Mode, PinWhat, PolicyChoice, Requirement, Rule, Rules, Tags
from shared.domain.signing import Kind
from shared.ports.verdicts import Put
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.functional.prewarming import Prewarm
from tests.house import House, house
from tests.waiting import eventually


class Images:
    """Of one test, each unlike the others."""

    def __init__(self, home: House) -> None:
        self._home = home
        self._count = 0
        self.digests: dict[str, str] = {}

    def new(self, outcome: str = "go", *, policy: str = "") -> str:
        """One of which the policy will say so."""
        self._count += 1
        content = tiny_image(config={"Labels": {"number": str(self._count)}})
        reference = self._home.registry.put(content, f"team/app{self._count}:1")
        self._home.anchore.store.decide(content.digest, outcome, policy=policy)
        self.digests[str(reference)] = content.digest
        return str(reference)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, tags=Tags.PINNED) as running:
        yield running


@pytest.fixture
def images(home: House) -> Images:
    return Images(home)


def pod(*images: str, namespace: str = "shop", name: str = "p", **more: str) -> Found:
    title = f"Pod {namespace}/{name}"
    return Found(namespace, images, title=title, runs=True, labels=more)


def by_image(rows: list[Row]) -> dict[str, Row]:
    return {row.image: row for row in rows}


async def test_what_nobody_had_judged_is_judged_and_told_worst_first(
    home: House, images: Images
) -> None:
    good, bad, worse = images.new(), images.new("stop"), images.new("stop")
    gone = f"{home.registry.host}/team/gone:1"
    rows = await Prewarm(home).rows(
        pod(good, bad), pod(worse, name="a"), pod(worse, name="b"), pod(gone)
    )
    assert [(row.image, row.outcome) for row in rows] == [
        (worse, Outcome.FAIL),
        (bad, Outcome.FAIL),
        (gone, Outcome.ERROR),
        (good, Outcome.PASS),
    ]
    assert [row.allowed for row in rows] == [False, False, False, True]
    assert (rows[0].pods, rows[0].objects) == (2, ("Pod shop/a", "Pod shop/b"))
    assert rows[0].findings
    assert "404" in rows[2].says


async def test_the_webhook_answers_as_it_was_told(home: House, images: Images) -> None:
    good, bad = images.new(), images.new("stop")
    rows = by_image(await Prewarm(home).rows(pod(good, bad)))
    for image in (good, bad):
        pinned = f"{image}@{rows[image].digest}"
        answer = await home.review(pinned)
        assert answer.allowed is rows[image].allowed


async def test_what_is_known_is_told_at_once_and_not_asked_for(home: House, images: Images) -> None:
    good, bad = images.new(), images.new("stop")
    first = await Prewarm(home).rows(pod(good, bad))
    calls = home.asked_of_anchore
    again = Prewarm(home)
    assert await again.rows(pod(good, bad)) == first
    assert (home.asked_of_anchore, again.most_under_way) == (calls, 0)


async def test_an_image_of_many_pods_is_scanned_once(home: House, images: Images) -> None:
    image = images.new()
    (row,) = await Prewarm(home).rows(
        *(pod(image, name=f"p{at}", namespace=f"n{at % 3}") for at in range(50))
    )
    assert (row.pods, row.namespaces) == (50, ("n0", "n1", "n2"))
    assert sum(home.anchore.store.submits.values()) == 1


async def test_no_more_are_under_way_at_a_time_than_may_be(home: House, images: Images) -> None:
    prewarm = Prewarm(home, at_once=3)
    rows = await prewarm.rows(*(pod(images.new()) for _ in range(10)))
    assert {row.outcome for row in rows} == {Outcome.PASS}
    assert prewarm.most_under_way == 3


async def test_what_is_not_done_in_time_is_told_as_unfinished_and_goes_on(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        images = Images(home)
        image = images.new()
        prewarm = Prewarm(home)
        (row,) = await prewarm.rows(pod(image), timeout=5.0)
        assert (row.outcome, row.allowed, row.refused) == (Outcome.UNFINISHED, False, False)
        assert row.says.startswith("its scan is under way")
        home.anchore.store.finish(images.digests[image])
        await eventually(lambda: _passes(Prewarm(home), image), within=60.0)


async def _passes(prewarm: Prewarm, image: str) -> bool:
    (row,) = await prewarm.rows(pod(image), timeout=0.0)
    return row.outcome is Outcome.PASS


async def test_who_stops_it_gets_what_is_known(tmp_path: Path) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        images = Images(home)
        prewarm = Prewarm(home, at_once=1)
        running = asyncio.create_task(prewarm.rows(pod(images.new()), pod(images.new())))
        await eventually(lambda: prewarm.most_under_way == 1)
        prewarm.stop.set()
        rows = await asyncio.wait_for(running, 30)
        assert {row.outcome for row in rows} == {Outcome.UNFINISHED}
        assert {row.says.partition(":")[0] for row in rows} == {
            "its scan is under way",
            "it was not asked for yet",
        }


async def test_what_the_rules_decide_unseen_is_not_scanned(tmp_path: Path) -> None:
    rules = Rules(
        rules=(
            Rule(name="tools", mode=Mode.ALLOW, match=Match(namespaces=(Glob("tools"),))),
            Rule(name="never", mode=Mode.DENY, match=Match(namespaces=(Glob("never"),))),
        )
    )
    async with house(tmp_path, rules=rules) as home:
        image = Images(home).new("stop")
        rows = await Prewarm(home).rows(
            pod(image, namespace="tools"), pod(image, namespace="never"), pod("NO IMAGE")
        )
        assert {row.state: (row.outcome, row.allowed, row.asked) for row in rows} == {
            State.REFUSED: (Outcome.FAIL, False, False),
            State.INVALID: (Outcome.FAIL, False, False),
            State.EXEMPT: (Outcome.PASS, True, False),
        }
        assert not home.asked_of_anchore


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
async def test_where_nothing_is_enforced_yet_a_fail_is_a_fail_that_runs(
    tmp_path: Path, mode: Mode
) -> None:
    async with house(tmp_path, rules=Rules(default=Rule(mode=mode))) as home:
        image = Images(home).new("stop")
        (row,) = await Prewarm(home).rows(pod(image))
        assert (row.outcome, row.allowed, row.spared, row.mode) == (
            Outcome.FAIL,
            True,
            True,
            str(mode),
        )


async def test_each_namespace_is_judged_by_its_own_policy(tmp_path: Path) -> None:
    strict = PolicyChoice(id="strict")
    rules = Rules(rules=(Rule(name="pay", policy=strict, match=Match(namespaces=(Glob("pay"),))),))
    async with house(tmp_path, rules=rules) as home:
        home.anchore.store.add_policy("strict")
        images = Images(home)
        image = images.new("stop", policy="strict")
        home.anchore.store.decide(images.digests[image], "go")
        rows = await Prewarm(home).rows(pod(image, namespace="pay"), pod(image, namespace="shop"))
        assert [(row.rule, row.outcome, row.namespaces) for row in rows] == [
            ("pay", Outcome.FAIL, ("pay",)),
            ("default", Outcome.PASS, ("shop",)),
        ]


async def test_labels_of_namespaces_choose_rules_and_without_them_nothing_is_passed(
    tmp_path: Path,
) -> None:
    rule = Rule(name="prod", mode=Mode.DENY, match=Match(namespace_labels=(("tier", "prod"),)))
    async with house(tmp_path, rules=Rules(rules=(rule,))) as home:
        image = Images(home).new()
        labels = {"shop": {"tier": "prod"}, "lab": {"tier": "lab"}}
        found = [pod(image, namespace=each) for each in ("shop", "lab", "unknown")]
        rows = await Prewarm(home, labels=labels).rows(*found)
        assert {row.namespaces[0]: (row.outcome, row.state) for row in rows} == {
            "shop": (Outcome.FAIL, State.REFUSED),
            "unknown": (Outcome.ERROR, State.UNDECIDED),
            "lab": (Outcome.PASS, State.PASS),
        }


async def test_what_an_exception_covers_passes_and_is_told_as_that(
    home: House, images: Images
) -> None:
    image = images.new("stop")
    exception = ImageException(
        image=f"{image.rpartition(':')[0]}@{images.digests[image]}",
        findings=(ALL,),
        namespaces=("*",),
        reason="r",
        owner="ada",
        expires=SystemClock().now() + DAY,
    )
    (row,) = await Prewarm(home, exceptions=[exception]).rows(pod(image))
    assert (row.outcome, row.state, row.allowed) == (Outcome.PASS, State.EXCEPTED, True)


async def test_a_rule_that_adds_by_a_pods_labels_must_be_satisfied_too(tmp_path: Path) -> None:
    rule = Rule(name="pci", mode=Mode.DENY, match=Match(labels=(("pci", "true"),)))
    async with house(tmp_path, rules=Rules(rules=(rule,))) as home:
        image = Images(home).new()
        rows = await Prewarm(home).rows(pod(image), pod(image, name="q", pci="true"))
        assert [(row.rule, row.allowed) for row in rows] == [("pci", False), ("default", True)]


async def test_a_tag_that_nobody_pins_is_refused_where_digests_are_wanted(tmp_path: Path) -> None:
    rules = Rules(default=Rule(pin=PinWhat.NONE, tags=Tags.PINNED))
    async with house(tmp_path, rules=rules) as home:
        image = Images(home).new()
        (row,) = await Prewarm(home).rows(pod(image))
        assert (row.outcome, row.state, row.allowed) == (Outcome.FAIL, State.UNPINNED, False)


async def test_what_only_must_be_analysed_is(tmp_path: Path) -> None:
    rules = Rules(default=Rule(require=Requirement.ANALYSIS))
    async with house(tmp_path, rules=rules) as home:
        (row,) = await Prewarm(home).rows(pod(Images(home).new("stop")))
        assert row.outcome is Outcome.PASS


async def test_an_old_word_about_a_tag_is_asked_for_again(home: House, images: Images) -> None:
    image = images.new()
    await Prewarm(home).rows(pod(image))
    newer = tiny_image(config={"Labels": {"number": "another"}})
    home.registry.put(newer, image.partition("/")[2])
    home.anchore.store.decide(newer.digest, "stop")
    await _age(home, image, images.digests[image])
    (row,) = await Prewarm(home).rows(pod(image))
    assert (row.outcome, row.digest) == (Outcome.FAIL, newer.digest)


async def test_a_tag_that_names_what_it_named_costs_no_evaluation(
    home: House, images: Images
) -> None:
    image = images.new()
    await Prewarm(home).rows(pod(image))
    await _age(home, image, images.digests[image])
    calls = home.asked_of_anchore
    (row,) = await Prewarm(home).rows(pod(image))
    assert (row.outcome, home.asked_of_anchore) == (Outcome.PASS, calls)


async def _age(home: House, image: str, digest: str) -> None:
    """As if the registry had been asked about the tag two minutes ago."""
    now = SystemClock().now()
    pointer = Pointer(reference=image, asked_at=now - 2 * MINUTE, digest=digest)
    key = pointer_key(parse_reference(image))
    sealed = PlainSealer().seal(pointer, kind=Kind.POINTER, key=key, order=now, ends=now + DAY)
    assert await home.backends.store.put(sealed, key=key, ends=now + DAY) is Put.WRITTEN
