"""What prewarm believes of the store: what a webhook would."""

from collections.abc import Sequence

import pytest

from services.cli.prewarm.known import Reader
from services.webhook.catalogue import Image, Known
from services.webhook.terms import Terms
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.platforms import Platforms, PlatformSeen, PlatformTerms
from shared.domain.pointer import MINUTE, SECOND, Index, Manifest, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.signing import Kind
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    unresolved,
)
from tests.fakes.clock import START, FakeClock
from tests.fakes.sealing import PlainSealer

APP = parse_reference("registry.corp/app:1")


class Shelf(dict[str, bytes]):
    """Sealed records by key."""

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.get(key) for key in keys]


@pytest.mark.parametrize(
    ("secret", "ends", "known", "strange"),
    [
        (b"one", START + 1, True, 0),
        (b"one", START, False, 0),
        (b"another", START + MINUTE, False, 1),
    ],
    ids=["good", "ended", "not ours"],
)
async def test_what_has_ended_or_nobody_of_ours_signed_is_not_there(
    secret: bytes, ends: int, *, known: bool, strange: int
) -> None:
    key = pointer_key(APP)
    pointer = Pointer("registry.corp/app:1", START, "sha256:" + "a" * 64)
    sealed = PlainSealer(secret).seal(pointer, kind=Kind.POINTER, key=key, order=START, ends=ends)
    reader = Reader(
        records=Shelf({key: sealed}),
        unsealer=PlainSealer(),
        rules=Rules(),
        terms=Terms(),
        clock=FakeClock(),
    )
    look = await reader.look(Image("app", APP, always=False, question=Question()))
    assert bool(look.answer.subjects) is known
    assert reader.strange == strange


@pytest.mark.parametrize(
    ("age", "failed", "note"),
    [
        (61 * SECOND, True, "registry.corp is away"),
        (61 * SECOND, False, ""),
        (59 * SECOND, True, ""),
    ],
    ids=["its registry is away", "not asked about yet", "young"],
)
async def test_of_an_old_tag_it_is_told_why_nothing_newer_is_known(
    age: int, note: str, *, failed: bool
) -> None:
    clock, sealer = FakeClock(), PlainSealer()
    store = MemoryVerdictStore(clock=clock, leases=MemoryScanLeases(clock=clock))
    pen = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=clock)
    digest, repository, question = "sha256:" + "a" * 64, "registry.corp/app", Question()
    await pen.write_pointer(Pointer("registry.corp/app:1", START - age, digest))
    verdict = Verdict(Subject(repository, digest, "1"), question, Outcome.PASS, evaluated_at=START)
    await pen.write_verdict(verdict, chain="")
    if failed:
        away = error_verdict(
            unresolved(APP),
            question,
            kind=ErrorKind.TRANSIENT,
            message="registry.corp is away",
            now=START,
        )
        await pen.write_verdict(away, chain="")
    reader = Reader(records=store, unsealer=sealer, rules=Rules(), terms=Terms(), clock=clock)
    look = await reader.look(Image("app", APP, always=False, question=question))
    assert isinstance(look.answer, Known)
    assert look.by_an_old_tag is (age > MINUTE)
    assert (look.note, look.asked_at) == (note, START - age)


@pytest.mark.parametrize(("cluster", "state"), [("", State.PASS), ("arm", State.FAIL)])
async def test_an_image_of_several_platforms_counts_for_those_of_its_cluster(
    cluster: str, state: State
) -> None:
    clock, sealer = FakeClock(), PlainSealer()
    store = MemoryVerdictStore(clock=clock, leases=MemoryScanLeases(clock=clock))
    pen = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=clock)
    index, good, bad = ("sha256:" + letter * 64 for letter in "abc")
    await pen.write_pointer(Pointer("registry.corp/app:1", START, index, is_index=True))
    manifests = Manifest(good, "linux", "amd64"), Manifest(bad, "linux", "arm64")
    await pen.write_index(Index(index, manifests, START))
    for digest, outcome in ((good, Outcome.PASS), (bad, Outcome.FAIL)):
        subject = Subject("registry.corp/app", digest, "1")
        verdict = Verdict(subject, Question(), outcome, evaluated_at=START, policy_id="baseline")
        await pen.write_verdict(verdict, chain="")
    arm = PlatformSeen("linux/arm64", START, START, judged_at=START)
    await pen.write_platforms(Platforms("arm", START, (arm,)))
    reader = Reader(
        records=store,
        unsealer=sealer,
        rules=Rules(),
        terms=Terms(platforms=PlatformTerms(cluster)),
        clock=clock,
    )
    answer = (await reader.look(Image("app", APP, always=False, question=Question()))).answer
    assert isinstance(answer, Known)
    assert answer.judgement.state is state
