"""The alert for a cluster that cannot be looked at, over what a worker exports meanwhile."""

import pytest

from services.worker.inventory import LOOK_EVERY, Looked, What
from shared.domain.pointer import MINUTE, SECOND
from tests.fakes.prometheus import FakePrometheus, Labels
from tests.unit.docs.operations import alerts
from tests.unit.worker.care_rig import REPOSITORY
from tests.unit.worker.inventory_rig import Refusing, Rig

(RULE,) = (rule for rule in alerts() if rule["alert"] == "ImagegateClusterNotSeen")
A_LOOK = int(LOOK_EVERY) // 60
"""Minutes from one look that succeeds to the next."""

HOURS = range(3 * 60)
"""Minutes."""


class Watched(Rig):
    """A worker that is scraped each minute."""

    prometheus: FakePrometheus

    def scraped(self) -> None:
        self.prometheus.scrape(self.clock.now() / SECOND, self.registry.render())
        self.clock.advance(MINUTE)

    def fires(self) -> set[Labels]:
        return self.prometheus.fires(RULE)


def about(what: What) -> set[Labels]:
    return {frozenset({("what", what.value)})}


@pytest.fixture
def rig() -> Watched:
    rig = Watched(cluster=Refusing())
    rig.prometheus = FakePrometheus()
    rig.scraped()
    return rig


async def test_nodes_that_may_not_be_listed_are_told_though_pods_are(rig: Watched) -> None:
    rig.cluster.pod("web-1", f"{REPOSITORY}:1")
    for _ in HOURS:
        await rig.inventory.once()
        rig.scraped()
    assert (What.PODS, Looked.DONE) in rig.looks
    assert rig.fires() == about(What.NODES)


@pytest.mark.parametrize("outcome", [each for each in Looked if each is not Looked.DONE])
@pytest.mark.parametrize("what", What)
def test_each_that_is_never_seen_is_told_whatever_else_is(
    what: What, outcome: Looked, rig: Watched
) -> None:
    """Each is asked for again as seldom as that of namespaces is."""
    for minute in HOURS:
        if minute % A_LOOK == 0:
            rig.metrics.looked(what, outcome)
            for other in set(What) - {what}:
                rig.metrics.looked(other, Looked.DONE)
        rig.scraped()
    assert rig.fires() == about(what)


@pytest.mark.parametrize("what", What)
def test_what_is_seen_now_and_then_is_no_trouble(what: What, rig: Watched) -> None:
    for minute in HOURS:
        rig.metrics.looked(what, Looked.DONE if minute % 55 == 0 else Looked.FAILED)
        rig.scraped()
    assert not rig.fires()


def test_a_cluster_that_was_known_late_is_no_trouble_though_nobody_asks_again(rig: Watched) -> None:
    """That it is known is counted once: growth from nothing, which only a series shows that was
    there before."""
    for minute in HOURS:
        if minute < 10:
            rig.metrics.looked(What.CLUSTER, Looked.FAILED)
        if minute == 10:
            rig.metrics.looked(What.CLUSTER, Looked.DONE)
        rig.scraped()
    assert not rig.fires()


def test_one_failure_after_which_nobody_asks_any_more_is_no_trouble(rig: Watched) -> None:
    """The last rule about labels of namespaces was taken out."""
    rig.metrics.looked(What.NAMESPACES, Looked.REFUSED)
    for _ in HOURS:
        rig.scraped()
    assert not rig.fires()
