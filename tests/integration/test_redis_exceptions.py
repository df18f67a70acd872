"""What somebody who may write to Redis puts where exceptions stand, as a webhook reads it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.domain.errors import StoreError
from shared.ports.exceptions import MAX_EXCEPTIONS, MAX_ID, MAX_SEALED
from shared.ports.verdicts import Put
from tests.contract.stores import MINUTE, sealed
from tests.integration.redis_process import now
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers

SEALED, ENDS = "ig1:exceptions", "ig1:exceptions:ends"
FAR = 10**14


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as started:
        yield started


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.command("FLUSHALL")
    return running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisExceptionStore]:
    async with RedisLinks(url=server.url, limit=PATIENCE) as links:
        yield RedisExceptionStore(links=links)


def write(server: RedisServer, name: str, content: str) -> None:
    server.command("HSET", SEALED, name, content)
    server.command("ZADD", ENDS, FAR, name)


async def test_what_is_too_large_or_has_too_long_a_name_is_not_even_sent(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    write(server, "good", "x")
    write(server, "large", "x" * (MAX_SEALED + 1))
    write(server, "x" * (MAX_ID + 1), "x")
    write(server, "n" * 1_000_000, "x")
    write(server, "empty", "")
    assert await store.all() == {"good": b"x"}


async def test_a_flood_is_read_up_to_the_limit(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    flood = (
        "for n = 1, 5000 do redis.call('HSET', KEYS[1], n, string.rep('x', 8000)) "
        "redis.call('ZADD', KEYS[2], ARGV[1] + n, n) end"
    )
    server.command("EVAL", flood, 2, SEALED, ENDS, FAR)
    assert len(await store.all()) == MAX_EXCEPTIONS


async def test_names_that_are_no_text_are_read_as_such(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    server.command("HSET", SEALED, b"\xff\n", "x")
    server.command("ZADD", ENDS, FAR, b"\xff\n")
    server.command("ZADD", ENDS, FAR, "without a record")
    assert await store.all() == {"\ufffd\n": b"x"}


async def test_something_else_under_the_key_is_an_error_of_the_store(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    server.command("SET", ENDS, "text")
    with pytest.raises(StoreError, match="cannot list exceptions"):
        await store.all()


async def test_what_is_no_record_never_wins_against_one(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    record = sealed(now())
    for forged in ("z" * 100, "", "9" * 15, "9" * 15 + "x"):
        write(server, "a", forged)
        assert await store.put(record, exception_id="a", ends=now() + MINUTE) is Put.WRITTEN
        assert await store.all() == {"a": record}


async def test_a_record_whose_end_was_taken_away_is_put_anew(
    server: RedisServer, store: RedisExceptionStore
) -> None:
    await store.put(sealed(now() - 1), exception_id="a", ends=now() + MINUTE)
    server.command("DEL", ENDS)
    assert await store.all() == {}
    record = sealed(now())
    assert await store.put(record, exception_id="a", ends=now() + MINUTE) is Put.WRITTEN
    assert await store.all() == {"a": record}
    assert server.command("TTL", SEALED) == -1
