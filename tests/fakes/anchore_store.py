"""What FakeAnchore knows: images and how far their analyses are, policies, what it was told."""

import copy
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from tests.fakes.anchore_faults import LIES, Fault
from tests.fakes.anchore_wire import BASELINE, ROWS, Json, image_record, policy_record

STATUSES = ("not_analyzed", "analyzing", "analyzed", "analysis_failed")


class Image(msgspec.Struct):
    """One image of one account. Times: `began` monotonic, the others seconds since the epoch."""

    digest: str
    parent: str
    tags: list[str]
    account: str
    began: float
    seconds: float | None
    """How long its analysis takes; None: until somebody says so."""
    created: float
    told: Callable[..., Json] = image_record
    """What tells of it, in a dialect."""
    visible: float = 0.0
    """From when on (monotonic) it is shown at all."""
    settled: str | None = None
    """A status that time does not change."""
    reason: str = ""
    dockerfile: str | None = None
    analyzed_at: float | None = None

    @property
    def status(self) -> str:
        if self.settled is not None:
            return self.settled
        if self.seconds is None:
            return "not_analyzed"
        past = time.monotonic() - self.began
        if past < self.seconds / 5:
            return "not_analyzed"
        return "analyzing" if past < self.seconds else "analyzed"

    def record(self) -> Json:
        if self.status == "analyzed" and self.analyzed_at is None:
            self.analyzed_at = time.time()
        return self.told(
            digest=self.digest,
            parent=self.parent,
            tags=self.tags,
            status=self.status,
            account=self.account,
            created=self.created,
            updated=self.analyzed_at or self.created,
            analyzed=self.analyzed_at,
            dockerfile=self.dockerfile,
        )


class Decision(msgspec.Struct):
    """What the policy shall say of a digest."""

    final_action: str = "go"
    rows: list[list[Json]] | None = None


class AnchoreStore:
    """The state, and the levers that a test or bench pulls. Digests are per account."""

    def __init__(
        self,
        *,
        analysis_seconds: float | None,
        final_action: str,
        record: Callable[..., Json] = image_record,
        baseline: Json = BASELINE,
    ) -> None:
        self.analysis_seconds = analysis_seconds
        self.lag = 0.0
        """Seconds for which what was submitted is not shown."""
        self._record, self._baseline = record, baseline
        self.default = Decision(final_action=final_action)
        self.images: dict[tuple[str, str], Image] = {}
        self.policies: dict[str, dict[str, Json]] = {}
        self.decisions: dict[tuple[str, str], Decision] = {}
        """By digest and policy; an empty policy: what any says that is not told apart."""
        self.parents: dict[str, str] = {}
        self.contents: dict[str, dict[str, list[Json]]] = {}
        """By digest and kind of content: the packages in an image."""
        self.vulnerable: dict[str, list[Json]] = {}
        """By digest."""
        self.feeds: dict[str, tuple[int, float]] = {"debian:12": (40_000, time.time())}
        """Records of a group, and when it was synced (seconds since the epoch)."""
        self.registry: dict[str, str] = {}
        self.registries: dict[str, dict[str, Json]] = {}
        """By account and registry, with the passwords that nobody is told."""
        self.logins: dict[str, str] = {}
        """Registry -> the `user:password` that it takes; of others Anchore believes anything."""
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.submits: Counter[str] = Counter()
        self.said_analyzed: dict[str, float] = {}
        """Digest -> when (time.monotonic) it was first answered that it is analysed."""
        self.computed: dict[tuple[str, ...], float] = {}
        self.add_account("admin")

    def add_account(self, name: str) -> None:
        """A new account has a copy of the default policy, active."""
        now = time.time()
        record = policy_record(
            copy.deepcopy(self._baseline), active=True, account=name, created=now, updated=now
        )
        self.policies[name] = {self._baseline["id"]: record}

    def add_policy(self, policy_id: str, account: str = "admin") -> None:
        """The account has one more policy, a copy of the default one, not active."""
        now = time.time()
        bundle = {**copy.deepcopy(self._baseline), "id": policy_id, "name": policy_id}
        self.policies[account][policy_id] = policy_record(
            bundle, active=False, account=account, created=now, updated=now
        )

    def know(
        self,
        digest: str,
        tag: str,
        *,
        account: str = "admin",
        status: str = "analyzed",
        reason: str = "",
    ) -> None:
        """An image that somebody submitted before."""
        image = self.add(digest, tag, account)
        image.settled, image.reason, image.visible = status, reason, 0.0

    def begin(self, digest: str) -> None:
        """Its analysis runs now."""
        self._settle(digest, "analyzing")

    def requeue(self, digest: str) -> None:
        """Its analysis was broken off, and waits for another analyzer: v2 alone does so."""
        self._settle(digest, "not_analyzed")

    def finish(self, digest: str) -> None:
        """Its analysis is done."""
        self._settle(digest, "analyzed")

    def fail(self, digest: str, reason: str = "'NoneType' object is not iterable") -> None:
        """Its analysis failed."""
        self._settle(digest, "analysis_failed", reason)

    def decide(
        self,
        digest: str,
        final_action: str,
        rows: list[list[Json]] | None = None,
        policy: str = "",
    ) -> None:
        """What the policy (each, without an id) shall say: `go`, `warn` or `stop`, with the rows
        that fit it."""
        self.decisions[digest, policy] = Decision(final_action=final_action, rows=rows)

    def holds(
        self, digest: str, packages: dict[str, list[Json]], vulnerable: list[Json] | None = None
    ) -> None:
        """What is in the image, by kind of content, and what of it is vulnerable."""
        self.contents[digest], self.vulnerable[digest] = packages, vulnerable or []

    def registry_says(self, what: str, code: str) -> None:
        """Anchore's error code for a full tag or a digest that its registry does not give."""
        self.registry[what] = code

    def takes_login(self, registry: str, user: str, password: str) -> None:
        """That registry takes this login and no other."""
        self.logins[registry] = f"{user}:{password}"

    def index(self, digest: str, manifest: str) -> None:
        """`digest` is a manifest list; Engine takes `manifest` for it."""
        self.parents[digest] = manifest

    def fault(self, operation: str, kind: str, times: int | None = None, value: str = "") -> None:
        """Misbehave, `times` times or until healed."""
        self.faults.append(Fault(operation=operation, kind=kind, times=times, value=value))

    def heal(self) -> None:
        """Behave."""
        self.faults.clear()

    def settle_after(self, seconds: float | None) -> None:
        """How long analyses that begin from now on take."""
        self.analysis_seconds = seconds

    def take_fault(self, operation: str, *, lies: bool) -> Fault | None:
        """The next fault for `operation`, used up by one."""
        for fault in self.faults:
            if fault.operation not in (operation, "*") or (fault.kind in LIES) != lies:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
            return fault
        return None

    def add(self, digest: str, tag: str, account: str) -> Image:
        """A new record, not analysed."""
        manifest = self.parents.get(digest, digest)
        image = Image(
            digest=manifest,
            parent=digest,
            tags=[tag],
            account=account,
            began=time.monotonic(),
            seconds=self.analysis_seconds,
            created=time.time(),
            told=self._record,
            visible=time.monotonic() + self.lag,
        )
        self.images[account, manifest] = image
        return image

    def find(self, digest: str, account: str) -> Image | None:
        return self.images.get((account, self.parents.get(digest, digest)))

    def again(self, image: Image) -> None:
        """Analyse it anew; `analyzed_at` keeps its old value, as Engine's does."""
        image.settled, image.began, image.seconds = None, time.monotonic(), self.analysis_seconds

    def decision(self, digest: str, policy: str) -> tuple[str, list[list[Json]]]:
        """(final action, rows) of a digest by a policy."""
        of_any = self.decisions.get((digest, ""), self.default)
        decision = self.decisions.get((digest, policy), of_any)
        rows = decision.rows if decision.rows is not None else ROWS[decision.final_action]
        return decision.final_action, rows

    def state(self) -> Json:
        """For other processes."""
        return {
            "calls": dict(self.calls),
            "submits": dict(self.submits),
            "said_analyzed": dict(self.said_analyzed),
            "images": {image.digest: image.status for image in self.images.values()},
        }

    def _settle(self, digest: str, status: str, reason: str = "") -> None:
        found = [image for (_, known), image in self.images.items() if known == digest]
        if not found or status not in STATUSES:
            raise KeyError(f"no image {digest} to be {status}")
        for image in found:
            image.settled, image.reason = status, reason
