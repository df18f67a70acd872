"""The inventory: what runs is in use, and what cannot be seen is said once and changes nothing."""

import asyncio
import logging
from typing import Any

import pytest

from services.worker.inventory import AGAIN, LOOK_EVERY, Looked, What
from services.worker.inventory_pods import RunningImages
from shared.adapters.memory.cluster import MemoryCluster
from shared.domain.errors import ClusterMisconfigured
from shared.domain.platforms import GONE_AFTER, MAX_PLATFORMS
from shared.domain.pointer import DAY, MINUTE
from shared.domain.rules import Match, PolicyChoice, Rule, Rules
from tests.fakes.clock import FakeClock
from tests.unit.worker.care_rig import REPOSITORY, A, B
from tests.unit.worker.inventory_rig import AMD, ARM, PINNED, Refusing, Rig


async def test_images_that_run_are_in_use_under_the_key_that_webhooks_give_them() -> None:
    rig = Rig()
    rig.cluster.pod("web-1", f"registry.corp/team/app:1@{A}", "nginx:1.27")
    now = rig.clock.now()
    assert await rig.inventory.once() is False  # there are no nodes
    assert await rig.in_use() == {(PINNED, ""): now, ("docker.io/library/nginx:1.27", ""): now}


async def test_what_runs_longer_than_uses_are_remembered_stays_in_use() -> None:
    rig = Rig()
    rig.cluster.pod("web-1", PINNED)
    for _ in range(3):
        rig.clock.advance(6 * GONE_AFTER)
        await rig.inventory.once()
        assert list(await rig.in_use()) == [(PINNED, "")]


async def test_what_ran_and_has_ended_is_in_use_no_longer_than_anything_else() -> None:
    rig = Rig()
    rig.cluster.pod("job-1", PINNED)
    at = rig.clock.now()
    await rig.inventory.once()
    rig.cluster.pod("job-1", PINNED, phase="Succeeded")
    rig.clock.advance(MINUTE)
    await rig.inventory.once()
    assert await rig.in_use() == {(PINNED, ""): at}


async def test_an_image_that_runs_a_thousand_times_is_written_once() -> None:
    rig = Rig()
    for at in range(1_000):
        rig.cluster.pod(f"web-{at}", PINNED)
    await rig.inventory.once()
    assert sum(rig.uses_.written) == 1


async def test_no_more_uses_are_remembered_than_may_be_and_the_others_are_written_again() -> None:
    rig = Rig()
    for at in range(300):
        rig.cluster.pod(f"p{at:03}", PINNED, f"{REPOSITORY}:2@{B}")
    images = RunningImages(
        cluster=rig.cluster,
        usage=rig.uses_,
        rules=lambda: rig.rules,
        scanner="anchore",
        clock=rig.clock,
        pause=rig.pause,
        max_uses=1,
    )
    assert (await images.look()).images == 2
    first, *others = rig.uses_.written
    assert first == 2
    assert set(others) == {1}


async def test_between_two_pages_others_get_their_turn() -> None:
    rig = Rig()
    for at in range(250):
        rig.cluster.pod(f"web-{at}", PINNED)
    await rig.inventory.once()
    assert len(rig.paused) == 3
    assert "imagegate_running_pods 250.0" in rig.exported()


async def test_the_question_is_that_of_the_rules_for_the_pods_namespace() -> None:
    payments = Rule(
        "payments",
        policy=PolicyChoice(id="strict"),
        match=Match(namespace_labels=(("tier", "prod"),)),
    )
    rig = Rig(rules=Rules(rules=(payments,)))
    rig.cluster.namespace("pay", {"tier": "prod"})
    rig.cluster.namespace("lab", {})
    rig.cluster.pod("a", f"app@{A}", namespace="pay")
    rig.cluster.pod("b", f"app@{B}", namespace="lab")
    await rig.inventory.once()
    assert set(await rig.in_use()) == {
        (f"docker.io/library/app@{A}", "strict"),
        (f"docker.io/library/app@{B}", ""),
    }
    assert (What.NAMESPACES, Looked.DONE) in rig.looks


@pytest.mark.parametrize("where", ["labels", "annotations"])
async def test_what_the_author_of_a_pod_wrote_adds_its_question(where: str) -> None:
    about: dict[str, Any] = {where: (("pci", "true"),)}
    wrote: dict[str, Any] = {where: {"pci": "true"}}
    match = Match(**about)
    rig = Rig(rules=Rules(rules=(Rule("pci", policy=PolicyChoice(id="strict"), match=match),)))
    rig.cluster.pod("web-1", PINNED, **wrote)
    rig.cluster.pod("web-2", f"{REPOSITORY}:2@{B}")
    await rig.inventory.once()
    assert set(await rig.in_use()) == {
        (PINNED, ""),
        (PINNED, "strict"),
        (f"{REPOSITORY}:2@{B}", ""),
    }


async def test_without_labels_of_namespaces_each_rule_that_may_be_about_a_pod_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class NoNamespaces(MemoryCluster):
        async def namespace_labels(self) -> dict[str, dict[str, str]]:
            raise ClusterMisconfigured("403: bind the ClusterRole imagegate-worker")

    labelled = Match(namespace_labels=(("tier", "prod"),))
    rules = Rules(rules=(Rule("pay", policy=PolicyChoice(id="strict"), match=labelled),))
    rig = Rig(rules=rules, cluster=NoNamespaces())
    rig.cluster.pod("a", PINNED)
    await rig.inventory.once()
    assert set(await rig.in_use()) == {(PINNED, "strict"), (PINNED, "")}
    assert (What.NAMESPACES, Looked.REFUSED) in rig.looks
    assert (What.PODS, Looked.DONE) in rig.looks
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


async def test_labels_of_namespaces_are_not_asked_for_where_no_rule_needs_them() -> None:
    """A worker that may not list namespaces is not said to be in want of it."""

    class NoNamespaces(MemoryCluster):
        async def namespace_labels(self) -> dict[str, dict[str, str]]:
            raise AssertionError("nobody needs them")

    rig = Rig(cluster=NoNamespaces())
    rig.cluster.pod("a", PINNED)
    await rig.inventory.once()
    assert rig.looks == [(What.NODES, Looked.EMPTY), (What.PODS, Looked.DONE)]


async def test_what_may_not_be_asked_about_is_not_marked() -> None:
    rig = Rig(rules=Rules(allow_registries=("registry.corp",)))
    rig.cluster.pod("a", PINNED, "evil.example/x:1", "not an image", "")
    await rig.inventory.once()
    assert set(await rig.in_use()) == {(PINNED, "")}
    assert 'imagegate_running_images{state="unreadable"} 2.0' in rig.exported()


async def test_what_runs_without_a_verdict_costs_no_scan() -> None:
    rig = Rig()
    rig.cluster.pod("a", "registry.corp/old/app:1")
    rig.cluster.node("n")
    await rig.inventory.once()
    await rig.uses("registry.corp/old/app:1")
    await rig.refresh.once()
    assert rig.asked == []


# What cannot be seen.


async def test_a_missing_right_is_an_error_once_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(cluster=Refusing())
    rig.cluster.pod("a", PINNED)
    for _ in range(3):
        assert await rig.inventory.once() is False
    assert list(await rig.in_use()) == [(PINNED, "")]
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "bind the ClusterRole imagegate-worker" in vars(told)["why"]
    assert 'imagegate_inventory_looks_total{outcome="refused",what="nodes"} 3.0' in rig.exported()


async def test_a_cluster_that_is_away_is_a_warning_and_is_said_to_be_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.away = True
    await rig.inventory.once()
    await rig.inventory.once()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    rig.cluster.away = False
    assert await rig.inventory.once()
    assert [record.message for record in caplog.records[2:] if record.levelname == "INFO"] == [
        "the cluster can be looked at again"
    ] * 2


async def test_a_store_that_is_away_ends_nothing() -> None:
    rig = Rig()
    rig.cluster.pod("a", PINNED)
    rig.cluster.node("n")
    rig.uses_.away = True
    assert await rig.inventory.once() is False
    assert rig.looks == [(What.NODES, Looked.DONE), (What.PODS, Looked.FAILED)]


async def test_who_cannot_tell_which_cluster_it_is_says_so_and_asks_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    rig.cluster.away = True
    await rig.inventory.run()
    assert rig.paused == [AGAIN]
    assert rig.leases == ["inventory:this-cluster"]
    assert rig.looks == [(What.CLUSTER, Looked.FAILED), (What.CLUSTER, Looked.DONE)]
    assert [(each.levelname, vars(each)["what"]) for each in caplog.records] == [
        ("WARNING", "cluster"),
        ("INFO", "cluster"),
    ]


async def test_a_clock_that_is_ahead_of_the_stores_is_told_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody may put it right."""
    rig = Rig()
    rig.cluster.node("n")
    clock = FakeClock(now=rig.clock.now() + DAY)
    inventory = rig.another_inventory(clock=clock)
    assert await inventory.once() is False
    assert rig.looks == [(What.NODES, Looked.FAILED), (What.PODS, Looked.DONE)]
    assert "set the clocks" in vars(caplog.records[0])["why"]
    clock.put(-DAY)
    assert await inventory.once()


async def test_it_is_looked_every_ten_minutes_and_sooner_after_a_failure() -> None:
    rig = Rig()
    rig.cluster.node("a")
    with pytest.raises(asyncio.CancelledError):
        await rig.inventory.rounds()
    assert rig.slept == pytest.approx([LOOK_EVERY, AGAIN, LOOK_EVERY], abs=1)
    # Whoever looks no more tells nothing: another worker does.
    assert not [line for line in rig.exported() if line.startswith("imagegate_running")]


async def test_who_looks_more_often_than_that_looks_no_later_after_a_failure() -> None:
    rig = Rig()
    rig.cluster.node("a")
    with pytest.raises(asyncio.CancelledError):
        await rig.another_inventory(every=10.0).rounds()
    assert rig.slept == pytest.approx([10.0] * 3, abs=1)


class Slow(Rig):
    """Of a cluster whose pods take a minute to be listed."""

    async def pause(self, seconds: float) -> None:
        self.clock.advance(MINUTE)


async def test_what_runs_is_in_use_as_of_the_beginning_of_the_look() -> None:
    """What was asked about in the meantime is not made older or younger by a long one."""
    rig = Slow()
    began = rig.clock.now()
    for at in range(300):
        rig.cluster.pod(f"p{at:03}", f"{REPOSITORY}:{at}@{A}")
    await rig.inventory.once()
    assert set((await rig.in_use()).values()) == {began}


async def test_what_is_wrong_with_nodes_is_said_once_and_not_at_each_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.cluster.node("silent", "")
    for at in range(MAX_PLATFORMS + 1):
        rig.cluster.node(f"liar-{at}", f"linux/a{at}")
    for _ in range(3):
        await rig.inventory.once()
    said = [record.message for record in caplog.records]
    assert said.count("some nodes tell no platform, and count as none") == 1
    assert len([each for each in said if "more platforms than are followed" in each]) == 1
    assert 'imagegate_cluster_platforms{platform="other",state="new"} 1.0' in rig.exported()


async def test_a_look_that_failed_makes_nothing_younger() -> None:
    rig = Rig()
    rig.metrics.looked(What.PODS, Looked.FAILED)
    rig.metrics.looked(What.NODES, Looked.EMPTY)
    assert not [line for line in rig.exported() if line.startswith("imagegate_inventory_age")]


async def test_ten_minutes_are_from_one_look_to_the_next_however_long_one_takes() -> None:
    rig = Slow()
    rig.cluster.node("a")
    rig.cluster.pod("p", PINNED)
    with pytest.raises(asyncio.CancelledError):
        await rig.inventory.rounds()
    assert rig.slept[0] == pytest.approx(LOOK_EVERY - 60)


async def test_what_was_seen_is_told_until_another_worker_looks() -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.pod("p", PINNED)
    await rig.inventory.once()
    rig.clock.advance(5_000 - 20)
    told = rig.exported()
    for line in (
        "imagegate_running_pods 1.0",
        'imagegate_running_images{state="named"} 1.0',
        'imagegate_cluster_nodes{platform="linux/amd64"} 1.0',
        'imagegate_cluster_platforms{platform="linux/amd64",state="judged"} 1.0',
        'imagegate_inventory_age_seconds{what="nodes"} 5.0',
        'imagegate_inventory_age_seconds{what="pods"} 4.98',
    ):
        assert line in told
    rig.metrics.ended()
    gauges = ("imagegate_running", "imagegate_cluster", "imagegate_inventory_age")
    assert not [line for line in rig.exported() if line.startswith(gauges)]


async def test_a_platform_that_is_not_judged_yet_is_exported_as_new() -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.node("b", ARM)
    await rig.inventory.once()
    assert [line for line in rig.exported() if line.startswith("imagegate_cluster_pl")] == [
        'imagegate_cluster_platforms{platform="linux/amd64",state="judged"} 1.0',
        'imagegate_cluster_platforms{platform="linux/arm64",state="new"} 1.0',
    ]


async def test_nodes_of_platforms_that_are_not_followed_are_counted_together() -> None:
    """Nodes may tell anything, and none of it makes another series."""
    rig = Rig()
    for at in range(MAX_PLATFORMS + 3):
        rig.cluster.node(f"n{at:02}", f"linux/made{at:02}")
    rig.cluster.node("silent", "")
    await rig.inventory.once()
    told = rig.exported()
    # linux/amd64, which counted before anybody looked, has one of the places.
    assert 'imagegate_cluster_nodes{platform="other"} 4.0' in told
    assert 'imagegate_cluster_nodes{platform="unknown"} 1.0' in told
    assert 'imagegate_cluster_nodes{platform="linux/made00"} 1.0' in told
