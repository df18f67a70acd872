"""Namespaces are followed while some rule is about their labels, and at no other time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.webhook.namespace_metrics import NamespaceMetrics
from services.webhook.namespaces import NamespacesWhenNeeded
from shared.adapters.memory.namespaces import MemoryNamespaces
from shared.domain.errors import ClusterUnreachable, InvalidSettings
from shared.domain.rules import Match, Rule, Rules
from shared.ports.namespaces import Followed, ReadOutcome, WatchEnd
from shared.runtime.metrics import Metrics
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

PROD = {"tier": "prod"}
WITHOUT = Rules(rules=(Rule("others"),))
WITH = Rules(
    rules=(Rule("others"), Rule("production", match=Match(namespace_labels=(("tier", "prod"),))))
)


class Unusable(MemoryNamespaces):
    """Its files are not there."""

    def check(self) -> None:
        raise InvalidSettings("the token file /nowhere cannot be used")


@pytest.fixture
def cluster() -> MemoryNamespaces:
    return MemoryNamespaces({"team": PROD})


@pytest.fixture
async def needed(cluster: MemoryNamespaces) -> AsyncIterator[NamespacesWhenNeeded]:
    """Running, and told of no rules yet."""
    needed = NamespacesWhenNeeded(cluster)
    following = asyncio.create_task(needed.follow())
    yield needed
    following.cancel()
    await asyncio.wait([following])
    assert following.cancelled()


async def _moment() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nobody_is_asked_while_no_rule_is_about_labels(
    cluster: MemoryNamespaces, needed: NamespacesWhenNeeded
) -> None:
    needed.accept(WITHOUT)
    cluster.away = True
    await needed.ping()
    await _moment()
    assert needed.labels("team") is None


async def test_they_are_followed_from_the_start_where_a_rule_is_about_them(
    needed: NamespacesWhenNeeded,
) -> None:
    needed.accept(WITH)
    await eventually(lambda: needed.labels("team") == PROD)


async def test_rules_that_are_read_again_and_bring_such_a_rule_begin_it(
    needed: NamespacesWhenNeeded,
) -> None:
    needed.accept(WITHOUT)
    await _moment()
    assert needed.labels("team") is None
    needed.accept(WITH)
    assert await needed.read("team") == PROD
    await eventually(lambda: needed.labels("team") == PROD)


async def test_the_last_such_rule_ends_it_and_another_begins_it_again(
    cluster: MemoryNamespaces, needed: NamespacesWhenNeeded
) -> None:
    for _ in range(3):
        needed.accept(WITH)
        await eventually(lambda: needed.labels("team") == PROD)
        needed.accept(WITHOUT)
        await eventually(lambda: needed.labels("team") is None)
    assert cluster.reads == []


async def test_rules_that_change_and_still_need_them_interrupt_nothing(
    needed: NamespacesWhenNeeded,
) -> None:
    needed.accept(WITH)
    await eventually(lambda: needed.labels("team") == PROD)
    needed.accept(Rules(rules=WITH.rules[1:]))
    for _ in range(20):
        await asyncio.sleep(0)
        assert needed.labels("team") == PROD


async def test_a_ping_asks_while_they_are_needed(
    cluster: MemoryNamespaces, needed: NamespacesWhenNeeded
) -> None:
    needed.accept(WITH)
    cluster.away = True
    with pytest.raises(ClusterUnreachable):
        await needed.ping()


def test_without_a_kubernetes_api_such_a_rule_is_named_with_the_settings_to_make() -> None:
    nobody = NamespacesWhenNeeded(None)
    nobody.accept(WITHOUT)
    with pytest.raises(InvalidSettings, match="rule 'production' has namespaceLabels") as caught:
        nobody.accept(WITH)
    for setting in ("URL", "TOKEN_FILE", "CA"):
        assert f"IMAGEGATE_KUBERNETES_{setting}" in str(caught.value)


def test_a_kubernetes_api_that_can_never_be_asked_is_told_with_the_rule() -> None:
    unusable = NamespacesWhenNeeded(Unusable())
    unusable.accept(WITHOUT)
    with pytest.raises(InvalidSettings, match=r"'production' .* token file /nowhere"):
        unusable.accept(WITH)
    with pytest.raises(InvalidSettings, match="token file"):
        unusable.check()


async def test_rules_that_are_refused_leave_everything_as_it_was() -> None:
    unusable = Unusable({"team": PROD})
    needed = NamespacesWhenNeeded(unusable)
    following = asyncio.create_task(needed.follow())
    needed.accept(WITHOUT)
    with pytest.raises(InvalidSettings):
        needed.accept(WITH)
    await _moment()
    assert needed.labels("team") is None
    following.cancel()
    await asyncio.wait([following])


async def test_without_a_kubernetes_api_nothing_is_known_and_nothing_is_raised() -> None:
    nobody = NamespacesWhenNeeded(None)
    nobody.check()
    await nobody.ping()
    assert nobody.labels("team") is None
    assert await nobody.read("team") is None


async def test_a_following_that_fails_is_not_hidden() -> None:
    """The process watches its tasks: one that ends is a failure."""

    class Failing(MemoryNamespaces):
        async def follow(self) -> None:
            raise ZeroDivisionError

    failing = NamespacesWhenNeeded(Failing())
    failing.accept(WITH)
    with pytest.raises(ExceptionGroup) as caught:
        await failing.follow()
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)


def _scraped(metrics: Metrics) -> str:
    return metrics.render().decode()


def test_what_is_known_of_them_is_told_only_while_they_are_followed() -> None:
    metrics = Metrics()
    told = NamespaceMetrics(metrics)
    assert "\nimagegate_namespace_labels_known " not in _scraped(metrics)
    followed: Followed | None = Followed(known=7, age=1.5)
    told.watch(lambda: followed)
    assert "imagegate_namespace_labels_known 7.0" in _scraped(metrics)
    assert "imagegate_namespace_labels_age_seconds 1.5" in _scraped(metrics)
    followed = None
    assert "\nimagegate_namespace_labels_known " not in _scraped(metrics)


def test_watches_and_questions_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    told = NamespaceMetrics(metrics)
    told.watched(WatchEnd.GONE)
    told.read(ReadOutcome.OVER_BUDGET)
    assert 'imagegate_namespace_watches_total{end="gone"} 1.0' in _scraped(metrics)
    assert 'imagegate_namespace_reads_total{outcome="over_budget"} 1.0' in _scraped(metrics)
