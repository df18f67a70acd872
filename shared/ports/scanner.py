"""Anchore, or whatever speaks its API: analyses images, evaluates policies."""

from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.verdict import Evaluation, Question, Subject


class Analysis(StrEnum):
    """How far the analysis of an image is."""

    UNKNOWN = "unknown"
    """The scanner does not know the image, or not under this tag."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Analysed(msgspec.Struct, frozen=True):
    """How far the analysis of an image is, and what it rests on."""

    state: Analysis
    dockerfile: bool | None = None
    """Whether its own Dockerfile was sent along: else the scanner guesses one, and its FROM line
    proves nothing (docs/design/anchore-engine.md 7). None: the scanner does not say."""


class ScannerInfo(msgspec.Struct, frozen=True):
    """Which server answers."""

    name: str
    version: str
    api: str


class Scanner(Protocol):
    """One Anchore server (docs/design/anchore-engine.md, docs/design/anchore-v2.md).

    Every call has a timeout and is retried a little by the adapter itself.
    Errors: TransientFailure (down, 5xx, 429 with its retry_after, a hang, an answer that cannot
    be read), PermanentFailure with kind not_found / unauthorised (of the *image*, as the scanner
    was told by its registry), misconfigured (nothing of the image's: our credentials and rights
    there, an account or policy that it does not have), untrusted (its answer is about something
    else), refused (any other request that it does not take), analysis_failed.
    """

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        """The state of `subject.digest`, known as `subject.scan_tag`, in `question.account`."""

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        """Have `subject.digest` analysed under `subject.scan_tag`; repeating it is safe.

        A failed analysis begins anew. An answer about another digest is an error
        (PermanentFailure, kind untrusted).
        """

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        """What the policy says, exactly as answered; `shared.domain.verdict.judge` believes
        it or not. Only for an image whose analysis is DONE."""

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        """Why the analysis failed, where the scanner tells; else empty."""

    async def info(self) -> ScannerInfo:
        """A real, authenticated question: it proves that the scanner answers us."""
