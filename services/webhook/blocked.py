"""Who makes the pods that were denied here: remembered in memory, so that what turns can be told.

Nothing is awaited and nobody is asked: a denial costs a few microseconds here. What a stranger can
get by reviews that no API server sent (without a client CA anybody in the cluster may send some): a
bounded number of entries, of each namespace's share alone, of a few images each, and that owners
are forgotten sooner, whose controllers then come back as late as they do without us. Entries of
other images stand beside the real ones of an owner. What becomes of an entry:
`services.webhook.nudges`.
"""

import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TypeAlias, TypeVar

import msgspec

from services.webhook.images import Shape, shapes_of
from services.webhook.objects import is_advice, places_to_judge
from shared.domain.decision import Decision, State
from shared.domain.errors import InvalidObject, InvalidReference
from shared.domain.owner import Owner, maker_of
from shared.domain.reference import parse_reference
from shared.domain.review import AdmissionRequest, RequestOf, UserInfo, pod_of
from shared.domain.workload import Metadata, Pod
from shared.ports.clock import Clock

LIFE = 1_200.0
"""Seconds after its last denial: a controller comes back within 1 000 s (docs/design/kube-facts.md
3), so that one which does not has been let in, or is gone."""

MAX_OWNERS = 2_000
MAX_OF_A_NAMESPACE = 200
MAX_BYTES = 16 * 2**20
MAX_BYTES_OF_ONE = 64 * 2**10
MAX_IMAGES_OF_ONE = 32
"""Each is looked up at each look, for as long as the entry lives."""
OWN_SIZE = 2_048
"""Bytes that an entry takes beside its texts, about."""

LOOK_AGAIN = 15.0
"""Seconds between two looks at an owner that nothing was heard about: labels of a namespace, a new
node's platform and the end of an error are announced by nobody."""
NEVER = math.inf
NEWS = -math.inf
"""When somebody is to be looked at of whom something was heard: before all whose time has come."""

Key: TypeAlias = tuple[Owner, tuple[Shape, ...]]
Listed = TypeVar("Listed")


class Blocked(msgspec.Struct, eq=False):
    """One owner whose pods are denied. Times are monotonic seconds."""

    owner: Owner
    request: AdmissionRequest
    """What of the last review chooses rules; nothing else of it is kept."""
    shapes: tuple[Shape, ...]
    repositories: frozenset[str]
    size: int
    since: float
    """When it was denied first, without having been nudged in between."""
    denied: float
    """When it was denied last."""
    state: State
    reason: str
    look: float = NEVER
    """When it is to be looked at next."""
    waits: bool = True
    """Not nudged since it was denied last."""
    store_was_away: bool = False
    """Nobody could ask for a scan, and since then the store was heard again."""

    @property
    def images(self) -> tuple[str, ...]:
        """As the pod writes them, each once."""
        return tuple(dict.fromkeys(image for image, _ in self.shapes))


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
        self._of: Counter[str] = Counter()

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
        entry = self._entries.get((owner, shapes))
        if entry is None:
            entry = self._entry(owner, request, metadata, shapes, decision)
            if entry is None:
                return False
            self._keep(entry)
            return True
        self._entries.move_to_end((owner, shapes))
        return self._denied_again(entry, decision)

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

    def _entry(
        self,
        owner: Owner,
        request: AdmissionRequest,
        metadata: Metadata,
        shapes: tuple[Shape, ...],
        decision: Decision,
    ) -> Blocked | None:
        """None where it is larger than any real one."""
        texts = [metadata.labels, metadata.annotations, request.user_info.username]
        size = OWN_SIZE + sum(map(len, texts)) + sum(2 * len(image) for image, _ in shapes)
        if size > MAX_BYTES_OF_ONE or len(shapes) > MAX_IMAGES_OF_ONE:
            return None
        now = self._clock.monotonic()
        return Blocked(
            owner=owner,
            request=_trimmed(request, metadata),
            shapes=shapes,
            repositories=_repositories(shapes),
            size=size,
            since=now,
            denied=now,
            state=decision.state,
            reason=decision.reason,
            # A verdict may have come between the judgement and this.
            look=now,
        )

    def _denied_again(self, entry: Blocked, decision: Decision) -> bool:
        now = self._clock.monotonic()
        entry.denied, entry.state, entry.reason = now, decision.state, decision.reason
        if entry.waits:
            return False
        entry.waits, entry.since, entry.look = True, now, now
        return True

    def _keep(self, entry: Blocked) -> None:
        key = (entry.owner, entry.shapes)
        self._entries[key] = entry
        self._bytes += entry.size
        self._of[entry.owner.namespace] += 1
        self._by_owner[entry.owner][key] = None
        for repository in entry.repositories:
            self._by_repository[repository][key] = None
        if self._of[entry.owner.namespace] > self._max_of_a_namespace:
            self._drop(
                next(each for each in self._entries if each[0].namespace == entry.owner.namespace)
            )
        while len(self._entries) > self._max_owners or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size
        self._of[entry.owner.namespace] -= 1
        if not self._of[entry.owner.namespace]:
            del self._of[entry.owner.namespace]
        _unlist(self._by_owner, entry.owner, key)
        for repository in entry.repositories:
            _unlist(self._by_repository, repository, key)


def _unlist(index: dict[Listed, dict[Key, None]], under: Listed, key: Key) -> None:
    keys = index[under]
    del keys[key]
    if not keys:
        del index[under]


def _trimmed(request: AdmissionRequest, metadata: Metadata) -> AdmissionRequest:
    """What of a review chooses rules: copies, since what was read of a body keeps all of it."""
    return RequestOf[Pod](
        uid="",
        kind=request.kind,
        resource=request.resource,
        namespace=request.namespace,
        operation=request.operation,
        user_info=UserInfo(request.user_info.username),
        object=Pod(
            Metadata(labels=metadata.labels.copy(), annotations=metadata.annotations.copy())
        ),
    )


def _repositories(shapes: Sequence[Shape]) -> frozenset[str]:
    """Those of what is a reference: of all else nothing is ever announced."""
    found = set()
    for image, _ in shapes:
        try:
            found.add(parse_reference(image).repository)
        except InvalidReference:
            continue
    return frozenset(found)


def _repository(key: str) -> str:
    """Whose record it is: a verdict's, an error's or a pointer's; empty of all others."""
    kind, _, named = key.partition(":")
    if kind in ("verdict", "error"):
        return named.partition("@")[0]
    return named.rpartition(":")[0] if kind == "pointer" else ""
