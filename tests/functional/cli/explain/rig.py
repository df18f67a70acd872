"""A store with signed records, and `imagegate explain` beside it."""

import json
from pathlib import Path
from typing import Any

import msgspec

from services.worker.ledger import Ledger
from shared.adapters.signatures import load_ring, load_sealer
from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.pointer import MINUTE, Index, Manifest, Pointer
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision
from shared.domain.signing import Kind, Role
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    unresolved,
)
from tests.functional.cli.beside import Beside
from tests.functional.cli.commands import Ran, imagegate

REPOSITORY = "registry.corp/team/app"
TAG = f"{REPOSITORY}:1"
DIGEST = "sha256:" + "a" * 64
INDEX = "sha256:" + "e" * 64
PINNED = f"{TAG}@{DIGEST}"
STOP = Finding("vulnerabilities", "package", "CVE-1+openssl", Action.STOP, "CRITICAL CVE-1")


class Rig:
    """A store with signed records, at the socket that the command asks."""

    def __init__(self, served: Beside, state: Path) -> None:
        self.served = served
        self.state = state
        self.now = served.clock.now()
        keys = state / "keys"
        self._ledger = Ledger(
            store=served.store,
            sealer=load_sealer(keys),
            unsealer=load_ring(keys),
            clock=served.clock,
        )

    async def point(
        self,
        digest: str | None = DIGEST,
        *,
        index: bool = False,
        age: int = 5 * MINUTE,
        **more: Any,
    ) -> None:
        asked_at = self.now - age
        pointer = Pointer(more.pop("reference", TAG), asked_at, digest, index, **more)
        await self._ledger.write_pointer(pointer)

    async def judge(
        self, outcome: Outcome, *findings: Finding, digest: str = DIGEST, **more: Any
    ) -> None:
        verdict = Verdict(
            subject=Subject(REPOSITORY, digest, "1"),
            question=Question(),
            outcome=outcome,
            evaluated_at=self.now - 2 * 60 * MINUTE,
            findings=findings,
            policy_id="baseline",
            revision="f" * 64,
        )
        await self._ledger.write_verdict(msgspec.structs.replace(verdict, **more), chain="c")

    async def fail_to_judge(self, kind: ErrorKind, message: str, *, age: int = 0) -> None:
        subject = Subject(REPOSITORY, DIGEST, "1")
        error = error_verdict(subject, Question(), kind=kind, message=message, now=self.now - age)
        beside = msgspec.structs.replace(error, beside=True)
        await self._ledger.write_verdict(beside, chain="c")

    async def fail_to_resolve(self, message: str) -> None:
        subject = unresolved(parse_reference(TAG))
        error = error_verdict(
            subject, Question(), kind=ErrorKind.TRANSIENT, message=message, now=self.now
        )
        await self._ledger.write_verdict(error, chain="c")

    def exception(self, exception_id: str, *, revoked: bool = False, cluster: str = "") -> bytes:
        """Of STOP, signed with the operator's key."""
        exception = ImageException(
            image=REPOSITORY,
            findings=("CVE-1+openssl",),
            namespaces=("*",),
            reason="no fix yet",
            owner="ada",
            expires=self.now + 3 * 60 * MINUTE,
            id=exception_id,
            made_at=self.now,
            revoked=revoked,
            cluster=cluster,
        )
        return load_sealer(self.state / "keys", role=Role.OPERATOR).seal(
            exception,
            kind=Kind.EXCEPTION,
            key=exception_key(exception_id),
            order=exception.made_at,
            ends=exception.expires,
        )

    async def name_manifests(self, *manifests: Manifest) -> None:
        await self._ledger.write_index(Index(INDEX, manifests, self.now - MINUTE))

    async def revise(self) -> None:
        await self._ledger.write_revision(
            Revision(Question(), "baseline", "0" * 64, self.now - MINUTE, since=self.now - MINUTE)
        )

    async def explain(self, what: str, *options: str, **environ: str) -> Ran:
        return await imagegate("explain", what, *options, state=self.state, **environ)

    async def ways(self, what: str, *options: str, **environ: str) -> list[dict[str, Any]]:
        ran = await self.explain(what, "-o", "json", *options, **environ)
        assert ran.code in (0, 1), ran.err
        ways: list[dict[str, Any]] = json.loads(ran.out)
        return ways

    async def way(self, what: str = TAG, *options: str, **environ: str) -> dict[str, Any]:
        (way,) = await self.ways(what, *options, **environ)
        return way
