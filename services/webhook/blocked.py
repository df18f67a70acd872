"""Who makes the pods that were denied here: remembered in memory, so that what turns can be told.

Nothing is awaited and nobody is asked: a denial costs some microseconds here. What a stranger can
get by reviews that no API server sent (without a client CA anybody in the cluster may send some): a
bounded number of entries, of each namespace's share alone, of a few images each, and that owners
are forgotten sooner, or looked at by the wrong labels until they are denied again: their
controllers then come back as late as they do without us. Entries of other images stand beside the
real ones of an owner. What becomes of an entry: `services.webhook.nudges`.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import TypeVar

from services.webhook.blocked_owner import NEVER, Blocked, Key, entry_of
from services.webhook.images import shapes_of
from services.webhook.objects import is_advice, places_to_judge
from shared.domain.decision import Decision, State
from shared.domain.errors import InvalidObject
from shared.domain.owner import Owner, maker_of
from shared.domain.review import AdmissionRequest, pod_of
from shared.ports.clock import Clock

LIFE = 1_200.0
"""Seconds after its last denial: a controller comes back within 1 000 s (docs/design/kube-facts.md
3), so that one which does not has been let in, or is gone."""

MAX_OWNERS = 2_000
MAX_OF_A_NAMESPACE = 200
MAX_BYTES = 16 * 2**20

LOOK_AGAIN = 15.0
"""Seconds between two looks at an owner that nothing was heard about: labels of a namespace, a new
node's platform and the end of an error are announced by nobody."""
NEWS = -NEVER
"""When somebody is to be looked at of whom something was heard: before all whose time has come."""

Listed = TypeVar("Listed")
Keys = TypeVar("Keys", bound=dict[Key, None])


class BlockedOwners:
    """Bounded in entries and bytes, in all and of each namespace; the ones that were denied longest
    ago go first."""

    def __init__(
        self,
        *,
        clock: Clock,
        max_owners: int = MAX_OWNERS,
        max_of_a_namespace: int = MAX_OF_A_NAMESPACE,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._clock = clock
        self._max_owners = max_owners
        self._max_of_a_namespace = max_of_a_namespace
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, Blocked] = OrderedDict()
        self._by_repository: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._by_owner: defaultdict[Owner, dict[Key, None]] = defaultdict(dict)
        self._by_namespace: defaultdict[str, OrderedDict[Key, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Blocked]:
        yield from list(self._entries.values())

    def denied(self, request: AdmissionRequest, decision: Decision) -> bool:
        """A review was denied. Whether there is something to look at because of it; never raises
        for what stands in a review."""
        if request.operation != "CREATE" or request.dry_run or is_advice(request):
            return False
        # A person's pod is made again by that person.
        if not request.user_info.username.startswith("system:"):
            return False
        try:
            metadata = pod_of(request).metadata
            owner = maker_of(metadata, request.namespace)
            if owner is None:
                return False
            shapes = shapes_of(places_to_judge(request))
        except InvalidObject:
            return False
        now = self._clock.monotonic()
        known = self._entries.get((owner, shapes))
        if known is not None and known.says_the_same(request, metadata):
            self._move_to_end(known)
            return known.denied_again(decision, now)
        entry = entry_of(owner, request, metadata, shapes, decision, now=now)
        if known is not None:
            return self._say_anew(known, entry, decision, now)
        if entry is None:
            return False
        self._keep(entry)
        return True

    def changed(self, key: str | None) -> bool:
        """A record of the store changed (None: any may have): who is blocked by it is to be looked
        at now. Whether there is anybody."""
        if key is None:
            found = [entry for entry in self if entry.waits]
            for entry in found:
                entry.store_was_away |= entry.state is State.STORE_DOWN
        else:
            keys = self._by_repository.get(_repository(key), ())
            found = [self._entries[each] for each in keys if self._entries[each].waits]
        for entry in found:
            entry.look = NEWS
        return bool(found)

    def rules_changed(self) -> bool:
        """Other rules or exceptions hold: all are to be looked at. Whether there is anybody."""
        found = [entry for entry in self if entry.waits]
        for entry in found:
            entry.look = NEWS
        return bool(found)

    def due(self, *, affords: Callable[[int], bool] = lambda images: True) -> list[Blocked]:
        """Whoever is to be looked at now, those that something was heard of first, for as long as
        `affords` takes so many images more; the others stay due. Each is looked at again later
        unless something else is said of it. The ones that are over are forgotten."""
        now = self._clock.monotonic()
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            if oldest.denied + LIFE > now:
                break
            self._drop(key)
        found = [entry for entry in self._entries.values() if entry.look <= now]
        found.sort(key=lambda entry: entry.look)
        taken = list(takewhile(lambda entry: affords(len(entry.shapes)), found))
        for entry in taken:
            entry.look = now + LOOK_AGAIN
        return taken

    def nudged(self, owner: Owner, *, at: float) -> None:
        """It was nudged, by whomever, at that time (monotonic seconds): whether it is blocked still
        shows when it is denied again. A pod that /mutate could not pin at first and one that it
        could are two entries of one owner."""
        for key in self._by_owner.get(owner, ()):
            entry = self._entries[key]
            if entry.denied <= at:
                entry.waits, entry.look, entry.store_was_away = False, NEVER, False

    def forget(self, owner: Owner) -> None:
        """There is no such owner."""
        for key in list(self._by_owner.get(owner, ())):
            self._drop(key)

    def _move_to_end(self, entry: Blocked) -> None:
        self._entries.move_to_end(entry.key)
        self._by_namespace[entry.owner.namespace].move_to_end(entry.key)

    def _say_anew(
        self, known: Blocked, entry: Blocked | None, decision: Decision, now: float
    ) -> bool:
        """Its pods have the same images, and other labels or annotations by now."""
        if entry is None:
            self._drop(known.key)
            return False
        self._bytes += entry.size - known.size
        known.request, known.size = entry.request, entry.size
        self._move_to_end(known)
        self._make_room()
        return known.denied_again(decision, now)

    def _keep(self, entry: Blocked) -> None:
        key, of_namespace = entry.key, self._by_namespace[entry.owner.namespace]
        self._entries[key] = entry
        self._bytes += entry.size
        of_namespace[key] = None
        self._by_owner[entry.owner][key] = None
        for repository in entry.repositories:
            self._by_repository[repository][key] = None
        if len(of_namespace) > self._max_of_a_namespace:
            self._drop(next(iter(of_namespace)))
        self._make_room()

    def _make_room(self) -> None:
        while len(self._entries) > self._max_owners or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key)
        # It may be about to be looked at.
        entry.waits = False
        self._bytes -= entry.size
        _unlist(self._by_namespace, entry.owner.namespace, key)
        _unlist(self._by_owner, entry.owner, key)
        for repository in entry.repositories:
            _unlist(self._by_repository, repository, key)


def _unlist(index: dict[Listed, Keys], under: Listed, key: Key) -> None:
    keys = index[under]
    del keys[key]
    if not keys:
        del index[under]


def _repository(key: str) -> str:
    """Whose record it is: a verdict's, an error's or a pointer's; empty of all others."""
    kind, _, named = key.partition(":")
    if kind in ("verdict", "error"):
        return named.partition("@")[0]
    return named.rpartition(":")[0] if kind == "pointer" else ""
