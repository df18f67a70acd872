"""A connection that is made again whenever it is lost.

The library's own robust connection is not used: its channels wait for the reconnect whatever
timeout was given, forget what was registered on them, and log a traceback a second
(docs/design/broker-facts.md 3). Here one loop makes the connection, prepares it and waits for
its end; nothing else ever reconnects.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import msgspec
from aio_pika.abc import AbstractConnection

from shared.adapters.rabbitmq.calls import describe
from shared.adapters.rabbitmq.wire import Wired
from shared.domain.errors import InvalidSettings, QueueUnavailable

log = logging.getLogger(__name__)

Prepare = Callable[[AbstractConnection], Awaitable[None]]
"""Makes a new connection usable; raises QueueUnavailable."""


class LinkSettings(msgspec.Struct, frozen=True):
    """Where the broker is, and times in seconds."""

    url: str
    heartbeat: int
    reconnect_interval: float
    connect_timeout: float

    def __post_init__(self) -> None:
        try:
            address, port = urlsplit(self.url), urlsplit(self.url).port
        except ValueError:
            # What urlsplit says may hold the password: neither said nor chained.
            raise _unreadable() from None
        if address.scheme not in ("amqp", "amqps") or not address.hostname or port == 0:
            raise _unreadable()
        if "@" in f"{address.path}{address.query}{address.fragment}":
            raise _unreadable()
        if address.scheme == "amqps":
            _check_ca(parse_qs(address.query).get("cafile", [""])[0])

    @property
    def place(self) -> str:
        """The broker's host and port, without credentials."""
        address = urlsplit(self.url)
        return f"{address.hostname}:{address.port or (5671 if address.scheme == 'amqps' else 5672)}"


def _check_ca(file: str) -> None:
    """Now, and not as a broker that is away at every try."""
    if not file:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise InvalidSettings(
            f"the CA file {file}, cafile in AMQP_URL, cannot be used: {error}: name a PEM file"
        ) from error


def _unreadable() -> InvalidSettings:
    return InvalidSettings(
        "AMQP_URL must look like amqp://user:password@host:5672/ or amqps://..., with / ? # and @ "
        "of user and password as %2F %3F %23 and %40"
    )


class Link:
    """One connection for one purpose. `run` keeps it; the rest asks for it."""

    def __init__(self, settings: LinkSettings, *, name: str, prepare: Prepare) -> None:
        self.name = name
        self._settings = settings
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self.usable = asyncio.Event()
        """Set while there is a connection."""
        self._lost = asyncio.Event()
        self._problem = "not connected yet"
        logging.getLogger("aiormq.connection").addFilter(_QUIET)

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        try:
            while True:
                await self._once()
                await asyncio.sleep(self._settings.reconnect_interval)
        finally:
            self._problem = "the queue was closed"

    @property
    def connection(self) -> AbstractConnection:
        """The connection; raises QueueUnavailable when there is none."""
        if self._connection is None:
            problem = self._problem.rstrip(" .")
            raise QueueUnavailable(
                f"no broker at {self._settings.place}: {problem}; is it running, and are user, "
                "password and virtual host of AMQP_URL right?"
            )
        return self._connection

    @property
    def current(self) -> AbstractConnection | None:
        """The connection, if there is one."""
        return self._connection

    def drop(self, connection: AbstractConnection) -> None:
        """Give `connection` up and make a new one, if it is still the one in use."""
        if connection is self._connection:
            self._lost.set()

    async def _once(self) -> None:
        try:
            await self._session()
        except QueueUnavailable as error:
            self._failed(str(error))
        except Exception as error:
            # The loop must live: a process without it would never see its broker again.
            log.exception("link to the broker failed")
            self._failed(repr(error))

    async def _session(self) -> None:
        settings = self._settings
        wired = Wired(settings.url, name=self.name, heartbeat=settings.heartbeat)
        lost = self._lost = asyncio.Event()
        why = ""

        def ended(_sender: object, error: BaseException | None) -> None:
            nonlocal why
            why = f": {describe(error)}" if error is not None else ""
            lost.set()

        wired.connection.close_callbacks.add(ended)
        try:
            await wired.open(timeout=settings.connect_timeout)
            await self._prepare(wired.connection)
            if not lost.is_set():
                self._up(wired.connection)
            await lost.wait()
        finally:
            self._connection = None
            self.usable.clear()
            await wired.close()
        raise QueueUnavailable(f"the connection was lost{why}")

    def _up(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.usable.set()
        self._problem = ""
        log.info("broker connected", extra={"link": self.name, "broker": self._settings.place})

    def _failed(self, problem: str) -> None:
        """Say it once, not at every try."""
        if problem != self._problem:
            log.warning(
                "broker away: %s",
                problem,
                extra={"link": self.name, "broker": self._settings.place},
            )
        self._problem = problem


_SAID_BY_US = (
    "error when creating transport",
    "Cancelling cause reader exited",
    "Unexpected connection close from remote",
)


class _Quiet(logging.Filter):
    """One line for a lost connection is ours; the library adds one a try, and tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        return not text.startswith(_SAID_BY_US)


_QUIET = _Quiet()
