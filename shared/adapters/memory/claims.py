"""Request claims and scan records in process, with the guarantees of Redis."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from shared.adapters.memory.ending import Ending
from shared.adapters.memory.tenants import Counted
from shared.domain.step import Lane, Step
from shared.ports.claims import MAX_OF_A_TENANT, Claim, Held, Hold, Holder
from shared.ports.clock import Clock

MAX_ENTRIES = 100_000
MAX_REMEMBERED = 10_000


class _Scan(msgspec.Struct, frozen=True):
    chain: str
    hop: int
    lane: Lane
    first_seen: int
    tenant: str
    ends: int
    placed: bool = False


class _Wanted(msgspec.Struct, frozen=True):
    """A step that was claimed and not begun; `named_at` is when somebody last published it."""

    step: Step
    named_at: int
    first_seen: int


class _Claimed(msgspec.Struct, frozen=True):
    lane: Lane
    owner: str = ""
    """Of a request that comes again."""


class MemoryScanLeases:
    """A `shared.ports.claims.ScanLeases` for one process."""

    def __init__(self, *, clock: Clock, max_scans: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._scans: Ending[_Scan] = Ending(clock=clock, max_entries=max_scans)
        self.counted = Counted(clock=clock)

    async def hold(
        self,
        key: str,
        *,
        chain: str,
        hop: int,
        life: int,
        lane: Lane,
        first_seen: int,
        tenant: str = "",
        claim: str = "",
    ) -> Held:
        self.counted.free(tenant, claim)
        held = self._scans.get(key)
        ends = self._clock.now() + life
        if held is None:
            self._keep(key, _Scan(chain, hop, lane, first_seen, tenant, ends))
            return Held(Hold.HELD, chain, lane, adopted=True)
        if held.chain != chain:
            if lane is Lane.CHECK and held.lane is not Lane.CHECK:
                held = msgspec.structs.replace(
                    held, lane=lane, first_seen=first_seen, tenant=tenant, placed=False
                )
                self._keep(key, held)
            return Held(Hold.FOREIGN, held.chain, held.lane)
        if held.hop > hop:
            return Held(Hold.BEHIND, chain, held.lane)
        if held.lane is Lane.CHECK:
            lane = Lane.CHECK
        renewed = msgspec.structs.replace(
            held,
            hop=hop,
            lane=lane,
            tenant=held.tenant or tenant,
            ends=ends,
            placed=held.placed and lane is not Lane.CHECK,
        )
        self._keep(key, renewed)
        return Held(Hold.HELD, chain, lane)

    async def renew(self, key: str, *, chain: str, life: int) -> bool:
        held = self._scans.get(key)
        if held is None or held.chain != chain:
            return False
        self._keep(key, msgspec.structs.replace(held, ends=self._clock.now() + life))
        return True

    async def place(self, key: str, *, chain: str, most: int) -> bool:
        held = self._scans.get(key)
        if held is None or held.chain != chain:
            return False
        if held.lane is Lane.CHECK or held.placed:
            return True
        if not await self.room(most=most):
            return False
        self._keep(key, msgspec.structs.replace(held, placed=True))
        return True

    async def room(self, *, most: int) -> bool:
        return sum(scan.placed for _, scan in self._scans.items()) < most

    async def holder(self, key: str) -> Holder | None:
        held = self._scans.get(key)
        return None if held is None else Holder(held.chain, held.lane, held.first_seen)

    async def release(self, key: str, *, chain: str) -> None:
        self.end(key, chain=chain)

    async def oldest(self) -> dict[Lane, int]:
        return _oldest((scan.lane, scan.first_seen) for _, scan in self._scans.items())

    def under_way(self) -> Counter[Lane]:
        """How many scans are under way, by lane."""
        return Counter(scan.lane for _, scan in self._scans.items())

    def alive(self, key: str, lane: Lane) -> bool:
        """Whether a scan is under way that a step in `lane` need not ask for."""
        held = self._scans.get(key)
        return held is not None and (lane is Lane.PREWARM or held.lane is not Lane.CHECK_PREWARM)

    def end(self, key: str, *, chain: str) -> None:
        """Remove the scan record of `key` if it is this chain's."""
        held = self._scans.get(key)
        if held is not None and held.chain == chain:
            self._scans.pop(key)
            self.counted.free(held.tenant, key)

    def _keep(self, key: str, scan: _Scan) -> None:
        self._scans.set(key, scan, ends=scan.ends)
        self.counted.count(scan.tenant, key, ends=scan.ends)


class MemoryRequestClaims:
    """A `shared.ports.claims.RequestClaims` for one process."""

    def __init__(
        self,
        *,
        clock: Clock,
        leases: MemoryScanLeases,
        max_claims: int = MAX_ENTRIES,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._clock = clock
        self._leases = leases
        self._claims: Ending[_Claimed] = Ending(clock=clock, max_entries=max_claims)
        self._max_remembered = max_remembered
        # In the order of `named_at`: what is named anew moves to the end.
        self._wanted: dict[str, _Wanted] = {}

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        if any(self._leases.alive(scan, step.lane) for scan in scans):
            return Claim.SCANNING
        held = self._claims.get(key)
        if held is not None and (held.lane is not Lane.PREWARM or step.lane is Lane.PREWARM):
            return Claim.HELD
        counted, ends = self._leases.counted, self._clock.now() + life
        if counted.number(step.tenant, but=key) >= MAX_OF_A_TENANT:
            return Claim.OVER
        counted.count(step.tenant, key, ends=ends)
        self._claims.set(key, _Claimed(step.lane), ends=ends)
        self._remember(key, step)
        return Claim.TAKEN

    async def begun(self, scans: Sequence[str]) -> int | None:
        held = [await self._leases.holder(scan) for scan in scans]
        return min((one.first_seen for one in held if one is not None), default=None)

    async def drop(self, key: str) -> None:
        self._claims.pop(key)

    async def begin(self, key: str) -> None:
        self._claims.pop(key)
        self._wanted.pop(key, None)

    async def keep(self, key: str, *, owner: str, life: int) -> bool:
        held, own = self._claims.get(key), _Claimed(Lane.PREWARM, owner)
        if held is not None and held != own:
            return False
        if life:
            self._claims.set(key, own, ends=self._clock.now() + life)
        else:
            self._claims.pop(key)
        return True

    async def free(self, step: Step) -> None:
        self._leases.counted.free(step.tenant, step.claim)

    async def overdue(self, *, age: int, limit: int) -> list[Step]:
        now = self._clock.now()
        due: list[str] = []
        for key, wanted in self._wanted.items():
            if wanted.named_at > now - age or len(due) >= limit:
                break
            due.append(key)
        return [self._name_again(key, now) for key in due]

    async def oldest(self) -> dict[Lane, int]:
        return _oldest((wanted.step.lane, wanted.first_seen) for wanted in self._wanted.values())

    def _remember(self, key: str, step: Step) -> None:
        before = self._wanted.pop(key, None)
        if before is None and len(self._wanted) >= self._max_remembered:
            return
        first_seen = step.first_seen
        if before is not None and before.step.lane is step.lane:
            first_seen = min(first_seen, before.first_seen)
        self._wanted[key] = _Wanted(step, self._clock.now(), first_seen)

    def _name_again(self, key: str, now: int) -> Step:
        wanted = self._wanted.pop(key)
        self._wanted[key] = msgspec.structs.replace(wanted, named_at=now)
        return wanted.step


def _oldest(seen: Iterable[tuple[Lane, int]]) -> dict[Lane, int]:
    oldest: dict[Lane, int] = {}
    for lane, first_seen in seen:
        oldest[lane] = min(first_seen, oldest.get(lane, first_seen))
    return oldest
