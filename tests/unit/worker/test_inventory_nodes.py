"""The inventory of nodes: their platforms are written down, and nothing hides one of them."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from services.worker.inventory import Looked, What
from services.worker.inventory_nodes import NodePlatforms
from shared.adapters.memory.cluster import MemoryCluster
from shared.domain.errors import ClusterMisconfigured
from shared.domain.platforms import GONE_AFTER, MAX_PLATFORMS, Platforms
from shared.domain.pointer import MINUTE
from shared.domain.rules import Rules
from shared.ports.cluster import Node
from tests.fakes.sealing import PlainSealer
from tests.unit.worker.inventory_rig import AMD, ARM, GRACE, Rig

RISCV = "linux/riscv64"


async def test_the_first_look_writes_down_what_the_nodes_are() -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    assert await rig.inventory.once()
    assert await rig.counted() == (AMD,)
    assert (await rig.record()).new == ()


async def test_a_new_platform_is_loud_and_counts_at_last_when_the_grace_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    await rig.inventory.once()
    rig.cluster.node("b", ARM)
    rig.clock.advance(10 * MINUTE)
    for _ in range(2):
        await rig.inventory.once()
    told = [record for record in caplog.records if "new platform" in record.message]
    assert [(record.levelname, vars(record)["platform"]) for record in told] == [("WARNING", ARM)]
    assert await rig.counted() == (AMD,)
    rig.clock.advance(GRACE)
    assert await rig.counted() == (AMD, ARM)


async def test_a_platform_that_counts_no_longer_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.node("b", ARM)
    await rig.inventory.once()
    rig.cluster.remove_node("b")
    for _ in range(3):
        rig.clock.advance(GONE_AFTER - MINUTE)
        await rig.inventory.once()
    told = [record for record in caplog.records if "counts no longer" in record.message]
    assert [(record.levelname, vars(record)["platform"]) for record in told] == [("WARNING", ARM)]
    assert await rig.counted() == (AMD,)


async def test_an_empty_list_of_nodes_takes_nothing_away(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.cluster.node("a", ARM)
    await rig.inventory.once()
    before = await rig.record()
    rig.cluster.remove_node("a")
    rig.clock.advance(2 * GONE_AFTER)
    assert await rig.inventory.once() is False
    assert await rig.record() == before
    assert rig.looks[-2:] == [(What.NODES, Looked.EMPTY), (What.PODS, Looked.DONE)]
    assert "no node tells its platform" in caplog.text + str(
        [vars(record).get("why") for record in caplog.records]
    )


async def test_a_list_that_breaks_off_takes_nothing_away() -> None:
    class BreaksOff(MemoryCluster):
        async def nodes(self) -> AsyncGenerator[Sequence[Node], None]:
            yield [Node("a", AMD)]
            raise ClusterMisconfigured("404")

    rig = Rig(cluster=BreaksOff())
    assert await rig.inventory.once() is False
    assert await rig.ledger.platforms("") is None


async def test_a_node_that_tells_nothing_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.cluster.node("a", ARM)
    rig.cluster.node("odd", "")
    assert await rig.inventory.once()
    assert ARM in {each.platform for each in (await rig.record()).platforms}
    assert 'imagegate_cluster_nodes{platform="unknown"} 1.0' in rig.exported()
    assert "tell no platform" in caplog.text


async def test_a_record_that_somebody_has_forgotten_is_written_as_it_was() -> None:
    """Who writes to the store must not have a platform count later by deleting what is known."""
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.node("b", ARM)
    await rig.inventory.once()
    await rig.ledger.write_platforms((await rig.record()).judged([ARM], rig.clock.now()))
    rig.clock.advance(MINUTE)
    await rig.inventory.once()
    rig.forgetful.forgotten = True
    rig.clock.advance(MINUTE)
    await rig.inventory.once()
    assert await rig.counted() == (AMD, ARM)


async def test_an_older_record_that_somebody_put_back_takes_no_platform_away() -> None:
    """It is signed, and none of before: the worker that looks remembers what it wrote."""
    rig = Rig()
    rig.cluster.node("a", AMD)
    await rig.inventory.once()
    put_back = await rig.record()
    rig.cluster.node("b", ARM)
    rig.clock.advance(MINUTE)
    await rig.inventory.once()
    rig.cluster.remove_node("b")
    rig.forgetful.put_back = put_back
    rig.clock.advance(GRACE)
    await rig.inventory.once()
    assert await rig.counted() == (AMD, ARM)


async def test_a_record_that_nobody_we_trust_signed_is_none() -> None:
    rig = Rig()
    forged = Platforms("", rig.clock.now() + 1_000)
    await rig.pen(PlainSealer(b"another")).write_platforms(forged)
    assert await rig.ledger.platforms("") is None


async def test_where_there_has_to_be_a_record_one_that_was_lost_begins_no_grace_anew() -> None:
    rig = Rig()
    rig.cluster.node("a", AMD)
    rig.cluster.node("b", ARM)
    begins = NodePlatforms(
        cluster=rig.cluster,
        ledger=rig.ledger,
        rules=lambda: rig.rules,
        clock=rig.clock,
        needed=True,
    )

    await begins.look()

    assert await rig.counted() == (AMD, ARM)


async def test_two_clusters_of_one_name_count_the_platforms_of_both() -> None:
    """Stricter than need be, and never laxer: names of their own tell them apart."""
    rig = Rig()
    rig.cluster.node("a", AMD)
    other = MemoryCluster(identity="another")
    other.node("b", ARM)
    looks = NodePlatforms(
        cluster=other, ledger=rig.ledger, rules=lambda: rig.rules, clock=rig.clock
    )
    for _ in range(300):
        rig.clock.advance(10 * MINUTE)
        await rig.inventory.once()
        await looks.look()
    assert await rig.counted() == (AMD, ARM)


async def test_nodes_that_tell_what_they_are_not_make_every_platform_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    for at in range(MAX_PLATFORMS + 5):
        rig.cluster.node(f"n{at}", f"linux/made{at}")
    await rig.inventory.once()
    assert await rig.counted() is None
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    series = [line for line in rig.exported() if line.startswith("imagegate_cluster_")]
    assert len(series) <= 2 * MAX_PLATFORMS + 3


async def test_platforms_that_the_rules_forgot_are_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(rules=Rules(platforms=(AMD,)))
    rig.cluster.node("a", AMD)
    rig.cluster.node("b", ARM)
    for _ in range(2):
        await rig.inventory.once()
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(told)["unnamed"] == ARM
    rig.cluster.node("c", RISCV)
    await rig.inventory.once()
    *_, told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(told)["unnamed"] == f"{ARM}, {RISCV}"
    rig.rules = Rules(platforms=(AMD, ARM, RISCV))
    await rig.inventory.once()
    assert [record.levelname for record in caplog.records].count("ERROR") == 2
