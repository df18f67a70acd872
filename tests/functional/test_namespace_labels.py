"""Rules about labels of namespaces: the whole webhook beside an API server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.webhook.namespaces import NamespacesWhenNeeded
from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespaces import KubernetesNamespaces
from shared.domain.rules import Match, Mode, Rule, Rules
from shared.runtime.clock import SystemClock
from tests.fakes.kubernetes import TOKEN, FakeKubernetes, hang, silence
from tests.house import Answer, House, house, memory_backends, pod, review_of
from tests.waiting import eventually

IMAGE = "registry.test/team/app:1"
LAX = Rules(default=Rule(mode=Mode.ALLOW))
STRICT = Rules(
    default=Rule(mode=Mode.ALLOW),
    rules=(Rule("production", mode=Mode.DENY, match=Match(namespace_labels=(("tier", "prod"),))),),
)
"""Nothing runs where tier is prod, all else does: an answer shows which rule decided."""

EXEMPTING = Rules(
    default=Rule(mode=Mode.DENY),
    rules=(Rule("tests", mode=Mode.ALLOW, match=Match(namespace_labels=(("tier", "test"),))),),
)
"""All runs where tier is test, nothing else does."""


class Site(msgspec.Struct, frozen=True):
    """A webhook and its cluster."""

    home: House
    cluster: FakeKubernetes
    namespaces: NamespacesWhenNeeded

    def reload(self, rules: Rules) -> None:
        """As the rules file does."""
        self.namespaces.accept(rules)
        self.home.book.rules_changed(rules)

    async def ask(self, namespace: str) -> Answer:
        """A pod is created there."""
        review: dict[str, Any] = review_of(pod(IMAGE))
        review["request"]["namespace"] = namespace
        return await self.home.ask(review)

    async def code(self, namespace: str) -> int:
        return (await self.ask(namespace)).code


@asynccontextmanager
async def site(folder: Path, rules: Rules, *, pace: Pace | None = None) -> AsyncIterator[Site]:
    token = folder / "token"
    token.write_text(TOKEN)
    async with FakeKubernetes() as cluster:
        for name, labels in (("team", {}), ("shop", {"tier": "prod"}), ("lab", {"tier": "test"})):
            cluster.put(name, labels)
        server = ApiServer(cluster.url, token)
        reading = KubernetesNamespaces(server=server, clock=SystemClock(), pace=pace)
        async with reading as namespaces:
            needed = NamespacesWhenNeeded(namespaces)
            needed.accept(rules)
            backends = msgspec.structs.replace(memory_backends(), namespaces=needed)
            async with house(folder, backends=backends, rules=rules, worker=False) as home:
                yield Site(home, cluster, needed)


@pytest.mark.parametrize(
    ("rules", "codes"),
    [(STRICT, {"team": 200, "shop": 403, "lab": 200}), (EXEMPTING, {"shop": 403, "lab": 200})],
)
async def test_labels_choose_the_rule(rules: Rules, codes: dict[str, int], tmp_path: Path) -> None:
    async with site(tmp_path, rules) as running:
        assert {name: await running.code(name) for name in codes} == codes


async def test_a_label_that_is_set_or_taken_away_counts_at_once(tmp_path: Path) -> None:
    async with site(tmp_path, STRICT) as running:
        await eventually(lambda: running.cluster.watching == 1)
        assert await running.code("team") == 200
        running.cluster.put("team", {"tier": "prod"})

        async def denied() -> bool:
            return await running.code("team") == 403

        await eventually(denied)
        running.cluster.put("team", {})

        async def allowed() -> bool:
            return await running.code("team") == 200

        await eventually(allowed)


@pytest.mark.parametrize("rules", [STRICT, EXEMPTING])
async def test_a_namespace_that_nobody_knows_is_never_taken_for_one_that_does_not_match(
    rules: Rules, tmp_path: Path
) -> None:
    async with site(tmp_path, rules) as running:
        for name in ("made-up", "", "../pods", "x" * 300):
            answer = await running.ask(name)
            assert not answer.allowed
            assert answer.code in (403, 503)


async def test_the_first_pod_of_a_new_namespace_is_answered_by_its_labels(tmp_path: Path) -> None:
    async with site(tmp_path, STRICT) as running:
        await eventually(lambda: running.cluster.watching == 1)
        for number in range(10):
            labels = {"tier": "prod"} if number % 2 else {}
            running.cluster.put(f"new-{number}", labels)
            assert await running.code(f"new-{number}") == (403 if labels else 200)


async def test_an_api_server_that_hangs_from_the_start_has_reviews_refused_in_time(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, LAX) as running:
        running.cluster.faults |= {"get": hang, "list": hang, "watch": silence}
        running.reload(STRICT)
        async with asyncio.timeout(5.0):
            answers = await asyncio.gather(*(running.ask("team") for _ in range(50)))
        assert {answer.code for answer in answers} == {503}
        assert "labels" in answers[0].message
        running.cluster.faults.clear()

        async def allowed() -> bool:
            return await running.code("team") == 200

        await eventually(allowed)


async def test_an_api_server_that_goes_away_later_changes_no_answer_for_a_while(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, STRICT) as running:
        await eventually(lambda: running.cluster.watching == 1)
        await running.cluster.stop()
        assert [await running.code(name) for name in ("team", "shop")] == [200, 403]


async def test_labels_that_are_not_believed_any_more_decide_nothing(tmp_path: Path) -> None:
    pace = Pace(believed=1.0, watch=1, grace=0.2, first_pause=0.05, last_pause=0.1)
    async with site(tmp_path, STRICT, pace=pace) as running:
        await eventually(lambda: running.cluster.watching == 1)
        await running.cluster.stop()

        async def refused() -> bool:
            return await running.code("team") == 503

        await eventually(refused)


async def test_rules_that_are_read_again_begin_and_end_the_watch(tmp_path: Path) -> None:
    async with site(tmp_path, LAX) as running:
        assert [await running.code(name) for name in ("team", "shop")] == [200, 200]
        assert running.cluster.asked == []
        running.reload(STRICT)
        assert [await running.code(name) for name in ("team", "shop")] == [200, 403]
        await eventually(lambda: running.cluster.watching == 1)
        running.reload(LAX)
        assert await running.code("shop") == 200
        await eventually(lambda: running.cluster.watching == 0)
        asked = len(running.cluster.asked)
        assert [await running.code(name) for name in ("team", "shop")] == [200, 200]
        assert len(running.cluster.asked) == asked


async def test_a_dependency_that_is_away_is_said_and_the_webhook_stays_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path, STRICT) as running:
        for value in ("1.0", "0.0"):
            line = f'imagegate_dependency_up{{dependency="kubernetes"}} {value}'
            await eventually(partial(_scraped, running.home, line))
            await running.cluster.stop()
        assert await running.home.ready() == 200
    away = [record for record in caplog.records if record.message == "kubernetes is away"]
    assert len(away) == 1
    assert away[0].levelno == logging.WARNING


async def _scraped(home: House, line: str) -> bool:
    return line in await home.metrics()
