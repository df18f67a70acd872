"""The rows of docs/design/broker-facts.md 8.12 that no test can have a server say."""

import pytest
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    DataError,
    MasterDownError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TimeoutError,
)

from shared.adapters.redis_store.errors import RAISED, store_error
from shared.domain.errors import (
    StoreError,
    StoreMisconfigured,
    StoreRefused,
    StoreUnreachable,
)

KINDS: list[tuple[Exception, type[StoreError]]] = [
    (ConnectionError("Connection closed by server."), StoreUnreachable),
    (TimeoutError("Timeout reading from redis.test:6379"), StoreUnreachable),
    (BusyLoadingError("Redis is loading the dataset in memory"), StoreUnreachable),
    (MasterNotFoundError("No master found for 'mymaster'"), StoreUnreachable),
    (MasterDownError("Link with MASTER is down"), StoreUnreachable),
    (ClusterDownError("The cluster is down"), StoreUnreachable),
    (RedisClusterException("Redis Cluster cannot be connected"), StoreUnreachable),
    (ResponseError("BUSY Redis is busy running a script."), StoreUnreachable),
    (OSError("no route to host"), StoreUnreachable),
    (AuthenticationError("invalid username-password pair"), StoreMisconfigured),
    (AuthenticationWrongNumberOfArgsError("for 'auth' command"), StoreMisconfigured),
    (AuthorizationError("not allowed"), StoreMisconfigured),
    (NoPermissionError("this user has no permissions"), StoreMisconfigured),
    (ResponseError("Protocol error: unauthenticated bulk length"), StoreMisconfigured),
    (ResponseError("The user executing the script can't run this command"), StoreMisconfigured),
    (ResponseError("ACL failure in script: User webhook has no permissions"), StoreMisconfigured),
    (ReadOnlyError("You can't write against a read only replica."), StoreRefused),
    (OutOfMemoryError("command not allowed"), StoreRefused),
    (ResponseError("NOREPLICAS Not enough good replicas to write."), StoreRefused),
    (ResponseError("MISCONF Redis is configured to save RDB snapshots"), StoreRefused),
    (MaxConnectionsError("Too many connections"), StoreError),
    (ResponseError("ERR unknown command"), StoreError),
    (DataError("Invalid input"), StoreError),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=repr)
def test_an_error_of_redis_is_said_as_what_it_means(
    error: Exception, kind: type[StoreError]
) -> None:
    assert isinstance(error, RAISED)
    ours = store_error(error, doing="read records", address="redis.test:6379/0")
    assert type(ours) is kind
    text = str(error).rstrip(" .?")
    assert str(ours).startswith(f"cannot read records, Redis at redis.test:6379/0: {text}: ")


def test_an_error_without_words_is_called_by_its_name() -> None:
    said = str(store_error(TimeoutError(), doing="ping", address="redis.test:6379/0"))
    assert ": TimeoutError: " in said
