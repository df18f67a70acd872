"""What every adapter of `shared.ports.namespaces` promises."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespaces import KubernetesNamespaces
from shared.adapters.memory.namespaces import MemoryNamespaces
from shared.domain.errors import ClusterUnreachable
from shared.ports.namespaces import Namespaces
from shared.runtime.clock import SystemClock
from tests.fakes.kubernetes import TOKEN, FakeKubernetes, hang
from tests.waiting import eventually

PATIENT = Pace(connect=30.0, answer=30.0, read=30.0, review=30.0)
HURRIED = Pace(answer=0.5)
"""For what becomes of a question without an answer."""
PROD = {"tier": "prod"}
STRANGE = ("", ".", "..", "../pods", "a/b", "a%2fb", "Team", "team a", "a\nb", "é", "-a", "a" * 64)


class Cluster(msgspec.Struct, frozen=True):
    """A cluster, and what is said of its namespaces."""

    namespaces: Namespaces
    put: Callable[[str, dict[str, str]], None]
    remove: Callable[[str], None]
    goes_away: Callable[[], None]

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """While somebody follows them."""
        following = asyncio.create_task(self.namespaces.follow())
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    def labels(self, name: str) -> dict[str, str] | None:
        return _own(self.namespaces.labels(name))

    async def read(self, name: str) -> dict[str, str] | None:
        return _own(await self.namespaces.read(name))


def _own(labels: object) -> dict[str, str] | None:
    """Without what the API server itself adds to each."""
    if labels is None:
        return None
    assert isinstance(labels, dict)
    return {key: value for key, value in labels.items() if not key.startswith("kubernetes.io/")}


@pytest.fixture
def pace() -> Pace:
    return PATIENT


@pytest.fixture(params=["memory", "kubernetes"])
async def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, pace: Pace
) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        memory = MemoryNamespaces()
        yield Cluster(memory, memory.put, memory.remove, lambda: setattr(memory, "away", True))
        return
    token = tmp_path / "token"
    token.write_text(TOKEN)
    async with FakeKubernetes() as fake:
        server = ApiServer(fake.url, token)

        def goes_away() -> None:
            fake.faults |= dict.fromkeys(("get", "list", "watch"), hang)

        opened = KubernetesNamespaces(server=server, clock=SystemClock(), pace=pace)
        async with opened as namespaces:
            yield Cluster(namespaces, fake.put, fake.remove, goes_away)


async def test_before_anything_was_asked_nothing_is_known(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    assert cluster.labels("team") is None


async def test_one_that_nobody_follows_is_read(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    assert await cluster.read("team") == PROD


async def test_one_that_was_read_is_known_at_once_afterwards(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    await cluster.read("team")
    assert cluster.labels("team") == PROD


async def test_one_without_labels_is_known_to_have_none(cluster: Cluster) -> None:
    cluster.put("team", {})
    assert await cluster.read("team") == {}
    assert cluster.labels("team") == {}


async def test_one_that_is_not_there_is_unknown_and_not_without_labels(cluster: Cluster) -> None:
    assert await cluster.read("made-up") is None
    assert cluster.labels("made-up") is None


async def test_who_follows_knows_them_without_asking_for_each(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == PROD)


async def test_one_that_is_made_while_they_are_followed_is_known(cluster: Cluster) -> None:
    cluster.put("team", {})
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == {})
        cluster.put("new", PROD)
        await eventually(lambda: cluster.labels("new") == PROD)


async def test_other_labels_take_the_place_of_those_before(cluster: Cluster) -> None:
    cluster.put("team", {"tier": "test", "owner": "ada"})
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == {"tier": "test", "owner": "ada"})
        cluster.put("team", PROD)
        await eventually(lambda: cluster.labels("team") == PROD)


async def test_one_that_is_deleted_is_forgotten(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == PROD)
        cluster.remove("team")
        await eventually(lambda: cluster.labels("team") is None)
        assert await cluster.read("team") is None


async def test_one_that_is_made_again_has_its_new_labels(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == PROD)
        cluster.remove("team")
        cluster.put("team", {"tier": "test"})
        await eventually(lambda: cluster.labels("team") == {"tier": "test"})


async def test_who_stops_following_forgets_them(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    async with cluster.followed():
        await eventually(lambda: cluster.labels("team") == PROD)
    assert cluster.labels("team") is None
    assert await cluster.read("team") == PROD


async def test_they_can_be_followed_again(cluster: Cluster) -> None:
    cluster.put("steady", PROD)
    for labels in (PROD, {"tier": "test"}):
        async with cluster.followed():
            await eventually(lambda: cluster.labels("steady") == PROD)
            cluster.put("team", labels)
            await eventually(lambda labels=labels: cluster.labels("team") == labels)


@pytest.mark.parametrize("name", STRANGE)
async def test_what_is_no_name_is_unknown_and_nothing_is_raised(
    name: str, cluster: Cluster
) -> None:
    assert cluster.labels(name) is None
    assert await cluster.read(name) is None


@pytest.mark.parametrize("pace", [HURRIED])
async def test_a_cluster_that_is_away_makes_them_unknown_and_nothing_is_raised(
    cluster: Cluster,
) -> None:
    cluster.put("team", PROD)
    cluster.goes_away()
    assert await cluster.read("team") is None


async def test_many_who_read_at_once_all_know(cluster: Cluster) -> None:
    cluster.put("team", PROD)
    assert await asyncio.gather(*(cluster.read("team") for _ in range(100))) == [PROD] * 100


async def test_a_ping_of_a_cluster_that_answers_passes(cluster: Cluster) -> None:
    await cluster.namespaces.ping()


@pytest.mark.parametrize("pace", [HURRIED])
async def test_a_ping_asks(cluster: Cluster) -> None:
    cluster.goes_away()
    with pytest.raises(ClusterUnreachable, match="Kubernetes API"):
        await cluster.namespaces.ping()


async def test_what_is_needed_to_ask_is_there(cluster: Cluster) -> None:
    cluster.namespaces.check()
