"""Signed exceptions: read whole from store and folder, verified, and told to the book.

They are read at the start, at once when the store announces one or the folder changes, and now and
then, since a word may be lost. What cannot be read leaves everything as it was: once loaded an
exception counts to its end without any store (docs/design/behaviour.md 4). Those for other clusters
do not count. Among them stands what an operator's key said last of this cluster's emergency; those
of other clusters are not ours to read.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

from services.webhook.believed import Believed, Source, Taken
from services.webhook.switch import Switch
from shared.domain.cluster_name import another_is_meant
from shared.domain.emergency import Emergency, agreed_emergency, emergency_cluster
from shared.domain.errors import (
    InvalidException,
    InvalidSignature,
    StoreError,
    StoreMisconfigured,
)
from shared.domain.exceptions import KEY_PREFIX, ImageException, exception_key
from shared.domain.signed_exceptions import agreed
from shared.domain.signing import Kind, claimed_key, take_apart
from shared.ports.clock import Clock
from shared.ports.exceptions import MAX_EXCEPTIONS, ExceptionFiles, ExceptionStore
from shared.ports.signing import Unsealer
from shared.ports.verdicts import MAX_AHEAD

VERIFIED_AT_ONCE = 8
"""Signatures between two turns of the event loop: about a millisecond."""

SAID_AT_ONCE = {Source.STORE: 10, Source.FOLDER: MAX_EXCEPTIONS}
"""Lines in the log about what one read leaves out: strangers may write into the store."""

log = logging.getLogger(__name__)


class Uncounted(StrEnum):
    """Why an exception does not count."""

    SIGNATURE = "signature"
    """Nobody we trust signed it, or for something else."""
    INVALID = "invalid"
    """Signed, and says what no exception may say."""
    AHEAD = "ahead"
    """Signed, and made later than now: by a clock that is wrong. It would last longer than any
    may."""
    UNREAD = "unread"
    """Store, folder or file could not be read: what was read before goes on to count."""
    FULL = "full"
    """As many are believed as may be."""


OTHER_CLOCKS = "was made later than now: set the clocks of whoever signs and of this by NTP"

PASSING = (Uncounted.AHEAD, Uncounted.FULL)
"""Reasons that time alone may take away."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds between two reads of the store."""

    least: float = 0.2
    """However many announcements there are."""
    retry: float = 1.0
    """After one that failed."""
    usual: float = 30.0
    """Without an announcement."""


USUAL = Pace()


class _Offered(msgspec.Struct, frozen=True):
    """A sealed exception as it was found."""

    name: str
    """What to call it: its id in the store, or its file."""
    sealed: bytes
    key: str = ""
    """Under which it stands; empty: it says so itself."""


class _Looked(msgspec.Struct, frozen=True):
    """What was found out about bytes that need not be verified again."""

    sealed: bytes
    left_out: Uncounted | None = None
    why: str = ""


class SignedExceptions:
    """Hears of announcements (`heard`), and tells `on_change` of those that count."""

    def __init__(
        self,
        *,
        store: ExceptionStore,
        unsealer: Unsealer,
        clock: Clock,
        on_change: Callable[[Sequence[ImageException]], None],
        switch: Switch,
        cluster: str = "",
        files: ExceptionFiles | None = None,
        on_left_out: Callable[[Source, Uncounted], None] = lambda source, why: None,
        pace: Pace = USUAL,
    ) -> None:
        """What is meant for another cluster than `cluster` does not count; `switch` is told of
        its emergencies."""
        self._store = store
        self._unsealer = unsealer
        self._clock = clock
        self._on_change = on_change
        self._switch = switch
        self._cluster = cluster
        self._files = files
        self._on_left_out = on_left_out
        self._pace = pace
        self._believed = Believed(cluster=cluster)
        self._looked: dict[Source, dict[str, _Looked]] = {source: {} for source in Source}
        self._unread: dict[str, str] = {}
        self._trouble: StoreError | None = None
        self._wanted = asyncio.Event()

    def heard(self, key: str | None) -> None:
        """The store announced this key; None: some word may have been missed."""
        if key is None or key.startswith(KEY_PREFIX):
            self._wanted.set()

    def numbers(self) -> dict[Source, int]:
        """How many count now, by where they were read."""
        return self._believed.numbers(self._clock.now())

    async def first(self) -> None:
        """Read folder and store once; a store that is away is no obstacle."""
        await self.read_folder()
        await self.read_store()

    async def run(self) -> None:
        """Follow store and folder until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_store(), name="follow exceptions in the store")
            group.create_task(self._follow_folder(), name="follow exceptions in the folder")

    async def _follow_store(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wanted.wait()
            # Before the read: what is announced while it is under way is read again.
            self._wanted.clear()
            await self.read_store()
            await asyncio.sleep(self._pace.least)

    def _pause(self) -> float:
        """Seconds to the next read; at an emergency's end there is something to tell."""
        usual = self._pace.retry if self._trouble else self._pace.usual
        return min(usual, self._switch.seconds or usual)

    async def _follow_folder(self) -> None:
        if self._files is not None:
            async for _ in self._files.changes():
                await self.read_folder()

    async def read_store(self) -> None:
        """What stands in the store now; never raises."""
        try:
            found = await self._store.all()
        except StoreError as error:
            self._on_left_out(Source.STORE, Uncounted.UNREAD)
            self._say_trouble(error)
            self._tell()
            return
        if self._trouble is not None:
            log.info("signed exceptions are read from the store again")
        self._trouble = None
        await self._take(
            Source.STORE,
            [
                _Offered(name, sealed, exception_key(name))
                for name, sealed in found.items()
                if emergency_cluster(name) in (None, self._cluster)
            ],
        )

    async def read_folder(self) -> None:
        """What stands in the folder now; never raises."""
        if self._files is None:
            return
        folder = await self._files.read()
        for name, why in folder.unread.items():
            self._on_left_out(Source.FOLDER, Uncounted.UNREAD)
            if self._unread.get(name) != why:
                log.warning("exception file is not read", extra={"file": name, "why": why})
        self._unread = dict(folder.unread)
        await self._take(
            Source.FOLDER, [_Offered(name, sealed) for name, sealed in folder.sealed.items()]
        )

    async def _take(self, source: Source, offered: Iterable[_Offered]) -> None:
        """Verify what is new, a few at a time, and tell of what counts then."""
        before, looked = self._looked[source], dict[str, _Looked]()
        verified, news = 0, list[tuple[str, _Looked]]()
        for one in offered:
            known = before.get(one.name)
            if known is None or known.sealed != one.sealed or known.left_out in PASSING:
                known = self._look(source, one)
                verified += 1
                if verified % VERIFIED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            looked[one.name] = known
            if known.left_out is not None:
                self._on_left_out(source, known.left_out)
                if known != before.get(one.name):
                    news.append((one.name, known))
        self._looked[source] = looked
        _say_left_out(source, news)
        self._tell()

    def _look(self, source: Source, one: _Offered) -> _Looked:
        try:
            key = one.key or claimed_key(one.sealed)
            if emergency_cluster(key.removeprefix(KEY_PREFIX)) is not None:
                return self._look_at_emergency(source, one.sealed, key)
            exception = self._opened(one.sealed, key)
        except InvalidSignature as error:
            return _Looked(one.sealed, Uncounted.SIGNATURE, str(error))
        except InvalidException as error:
            return _Looked(one.sealed, Uncounted.INVALID, str(error))
        now = self._clock.now()
        # What takes one back holds whatever clock made it.
        if exception.made_at > now + MAX_AHEAD and not exception.revoked:
            return _Looked(one.sealed, Uncounted.AHEAD, OTHER_CLOCKS)
        taken = self._believed.take(exception, source, now=now)
        if taken is Taken.FULL:
            return _Looked(one.sealed, Uncounted.FULL, "as many exceptions count as may")
        if not exception.is_for(self._cluster):
            return self._of_another(source, one.sealed, exception)
        if taken is Taken.NEW:
            _say_new(exception, source, key_id=take_apart(one.sealed, key=key).key_id)
        return _Looked(one.sealed)

    def _of_another(self, source: Source, sealed: bytes, exception: ImageException) -> _Looked:
        """A store may be shared, and theirs is nothing to say; a file is in the wrong folder."""
        if source is Source.STORE:
            return _Looked(sealed)
        why = InvalidException("cluster", another_is_meant(exception.cluster, self._cluster))
        return _Looked(sealed, Uncounted.INVALID, str(why))

    def _look_at_emergency(self, source: Source, sealed: bytes, key: str) -> _Looked:
        """A file may be of another cluster: it was put into the wrong folder, which is to be said.
        Raises InvalidSignature, InvalidException."""
        record, body = self._unsealer.unseal(sealed, Emergency, kind=Kind.EMERGENCY, key=key)
        emergency = agreed_emergency(record, body, cluster=self._cluster)
        if emergency.made_at > self._clock.now() + MAX_AHEAD and not emergency.over:
            return _Looked(sealed, Uncounted.AHEAD, OTHER_CLOCKS)
        key_id = take_apart(sealed, key=key).key_id
        self._switch.take(emergency, source, key_id=key_id)
        return _Looked(sealed)

    def _opened(self, sealed: bytes, key: str) -> ImageException:
        record, body = self._unsealer.unseal(sealed, ImageException, kind=Kind.EXCEPTION, key=key)
        return agreed(record, body)

    def _tell(self) -> None:
        now = self._clock.now()
        self._believed.forget_ended(now)
        self._on_change(self._believed.active(now))
        self._switch.look()

    def _say_trouble(self, error: StoreError) -> None:
        """Once an interruption: it is tried again every second."""
        if self._trouble is None:
            level = logging.ERROR if isinstance(error, StoreMisconfigured) else logging.WARNING
            log.log(level, "signed exceptions cannot be read", extra={"why": str(error)})
        self._trouble = error


def _say_left_out(source: Source, news: Sequence[tuple[str, _Looked]]) -> None:
    most = SAID_AT_ONCE[source]
    for name, looked in news[:most]:
        log.warning(
            "exception does not count", extra={"source": source, "id": name, "why": looked.why}
        )
    if len(news) > most:
        log.warning("more exceptions do not count", extra={"number": len(news) - most})


def _say_new(exception: ImageException, source: Source, *, key_id: str) -> None:
    """For whoever asks later what was let run, by whom, and why."""
    log.info(
        "exception was revoked" if exception.revoked else "exception counts",
        extra={
            "id": exception.id,
            "image": exception.image,
            "findings": ",".join(exception.findings),
            "namespaces": ",".join(exception.namespaces),
            "cluster": exception.cluster,
            "owner": exception.owner,
            "reason": exception.reason,
            "made_at": exception.made_at,
            "expires": exception.expires,
            "key": key_id,
            "source": source,
        },
    )
