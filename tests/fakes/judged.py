"""Images that a worker has judged already: what it would have written."""

from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.signing import Kind
from shared.domain.verdict import Outcome, Question, Subject, Verdict, verdict_key
from shared.ports.signing import Sealer
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock

DIGEST = f"sha256:{'d' * 64}"


async def let_pass(store: VerdictStore, sealer: Sealer, image: str) -> str:
    """Write that `image` passes, and that its tag names its digest, or DIGEST; with that digest."""
    now = SystemClock().now()
    reference = parse_reference(image)
    digest = reference.digest or DIGEST
    pointer = Pointer(reference.tagged, now, digest)
    key = pointer_key(reference)
    sealed = sealer.seal(pointer, kind=Kind.POINTER, key=key, order=now, ends=pointer.ends_at)
    await store.put(sealed, key=key, ends=pointer.ends_at)
    subject = Subject(reference.repository, digest, reference.tag)
    verdict = Verdict(subject, Question(), Outcome.PASS, now, policy_id="baseline", scan_id="s")
    key = verdict_key(subject, verdict.question)
    sealed = sealer.seal(verdict, kind=Kind.VERDICT, key=key, order=now, ends=verdict.ends_at)
    await store.put(sealed, key=key, ends=verdict.ends_at)
    return digest
