"""What Redis' errors mean to us (docs/design/broker-facts.md 5 and 8.12)."""

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MaxConnectionsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    TimeoutError,
)

from shared.domain.errors import (
    StoreError,
    StoreMisconfigured,
    StoreRefused,
    StoreUnreachable,
)

RAISED = (RedisError, RedisClusterException, OSError)
"""Everything that redis-py raises for a server's or a network's fault."""

_MISCONFIGURED = (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
)
# MasterDownError is a ClusterDownError, MasterNotFoundError a ConnectionError.
_UNREACHABLE = (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    OSError,
    RedisClusterException,
    TimeoutError,
)
_REFUSED = (OutOfMemoryError, ReadOnlyError)
# redis-py knows no class for these.
_UNREACHABLE_CODES = ("BUSY",)
_REFUSED_CODES = ("MISCONF", "NOREPLICAS")
_MISCONFIGURED_TEXTS = (
    # A right that is missing inside a script: up to Redis 7.0, and after it.
    "The user executing the script",
    "ACL failure in script",
    # Long commands before a password was given are refused as a breach of protocol.
    "Protocol error: unauthenticated",
)


def store_error(error: Exception, *, doing: str, address: object) -> StoreError:
    """Our error for one of `RAISED`; `doing` is what failed, as in "cannot <doing>"."""
    text = str(error) or type(error).__name__
    code = text.partition(" ")[0]
    said = f"cannot {doing}, Redis at {address}: {text.rstrip(' .?')}"
    if isinstance(error, MaxConnectionsError):
        return StoreError(f"{said}: all our own connections are in use")
    if isinstance(error, _MISCONFIGURED) or any(part in text for part in _MISCONFIGURED_TEXTS):
        return StoreMisconfigured(f"{said}: check the user, password and ACL of REDIS_URL")
    if isinstance(error, _REFUSED) or code in _REFUSED_CODES:
        return StoreRefused(f"{said}: reads go on; make the server writable or give it memory")
    if isinstance(error, _UNREACHABLE) or code in _UNREACHABLE_CODES:
        return StoreUnreachable(f"{said}: is it running, and reachable from here?")
    return StoreError(f"{said}: this is not expected of the server, look at its log")
