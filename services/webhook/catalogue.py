"""Reading one image out of the store's records: the stair from reference to judgement.

Pure: `Catalogue.judge` asks for records by key through a callback and says either what is
known or which keys it misses. Lives and fallbacks: docs/design/behaviour.md 2.
"""

from enum import StrEnum

import msgspec

from services.webhook.terms import POLICY_GRACE
from services.webhook.verdicts import Fetch, Verdicts
from shared.domain.decision import Judgement, State
from shared.domain.errors import ErrorKind
from shared.domain.platforms import Counted, Platforms, PlatformTerms
from shared.domain.pointer import FOREVER, Index, Pointer, Standing, index_key, pointer_key
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Verdict,
    last_error_key,
    unresolved,
    verdict_key,
)

NODES = PlatformTerms()
REPLACED = "the policy has changed since, it is judged anew"


class Image(msgspec.Struct, frozen=True):
    """One image of a review: what was written, what it is, how strictly it is looked up."""

    written: str
    reference: ImageReference
    always: bool
    """The kubelet asks the registry at each start (pull policy Always or missing)."""
    question: Question


class Need(StrEnum):
    """What has to happen before the image can be judged."""

    REQUEST = "request"
    RESOLVE = "resolve"
    """Only the registry has to be asked what the tag names."""


class Missing(msgspec.Struct, frozen=True):
    """What is not known, and the records whose change would tell."""

    need: Need
    keys: tuple[str, ...]
    subjects: tuple[Subject, ...] = ()
    """The manifests without a verdict, where the digest is known."""
    note: str = ""
    """Why the last try did not tell."""
    resting: bool = False
    """That try failed a moment ago and is tried again by itself: asking would add another."""
    asked_at: int = 0
    """Where the registry has to be asked again: when it was asked last, by a worker's clock."""

    @property
    def unresolved(self) -> bool:
        """Nobody knows what the tag names, and asking its registry failed a moment ago."""
        return self.resting and not self.subjects


class Known(msgspec.Struct, frozen=True):
    """A judgement, and whether something of it should be asked again behind the answer."""

    judgement: Judgement
    refresh: Need | None = None
    subjects: tuple[Subject, ...] = ()
    until: int = FOREVER
    """When time alone changes the answer (ms)."""
    overrun: bool = False
    """It rests on a verdict whose policy was replaced, and whose grace is over."""


class Catalogue:
    """Judges an image from records; `fetch` gives the records of keys, absent ones as None."""

    def __init__(
        self,
        *,
        image: Image,
        rules: Rules,
        now: int,
        fetch: Fetch,
        renewed: int | None = None,
        policy_grace: int = POLICY_GRACE,
        platforms: PlatformTerms = NODES,
    ) -> None:
        """`renewed`: as in `Pointer.standing`; `platforms`: those that count where the rules do
        not say; times in milliseconds."""
        self._image = image
        self._renewed = renewed
        self._rules = rules
        self._now = now
        self._fetch = fetch
        self._policy_grace = policy_grace
        self._platforms = platforms
        self._verdicts = Verdicts(
            question=image.question,
            now=now,
            policy_grace=policy_grace,
            fetch=fetch,
            moved_on=self._moved_on,
        )
        self._refresh: Need | None = None
        self._until = FOREVER
        self._digest = ""
        self._known_since = 0

    def judge(self) -> Known | Missing:
        """Walk the stair: pointer, index, verdicts, errors."""
        reference = self._image.reference
        if reference.digest is not None:
            tags = (reference.tag, None) if reference.tag else (None,)
            return self._judge_digest(reference.digest, tags, is_index=None)
        key = pointer_key(reference)
        pointer = self._fetch((key,))[0]
        if not isinstance(pointer, Pointer):
            (error,) = self._verdicts.errors([unresolved(reference)])
            if error is not None:
                return Missing(Need.REQUEST, (key,), note=error.message, resting=True)
            return Missing(Need.REQUEST, (key,))
        if pointer.digest is None:
            return self._known(State.ERROR, pointer.message)
        self._known_since = pointer.known_since
        always, immutable = self._image.always, self._rules.immutable(reference)
        standing = pointer.standing(
            self._now, always=always, immutable=immutable, renewed=self._renewed
        )
        if standing is Standing.OLD:
            return Missing(Need.RESOLVE, (key,), asked_at=pointer.asked_at)
        if standing is Standing.YOUNG:
            self._until = pointer.young_until(always=always, immutable=immutable)
        else:
            self._refresh = Need.RESOLVE
        return self._judge_digest(pointer.digest, (reference.tag,), is_index=pointer.is_index)

    def _judge_digest(
        self, digest: str, tags: tuple[str | None, ...], *, is_index: bool | None
    ) -> Known | Missing:
        """`is_index` is None where only the records can tell."""
        self._digest = digest
        if is_index is not True:
            verdict = self._verdicts.of(self._of(digest, tags))
            if verdict is not None:
                return self._combine([verdict])
            if is_index is False:
                return self._missing([digest], tags)
        key = index_key(digest)
        index = self._fetch((key,))[0]
        if not isinstance(index, Index):
            missing = self._missing([digest], tags)
            if isinstance(missing, Missing):
                return msgspec.structs.replace(missing, keys=(key, *missing.keys))
            return missing
        platforms = self._counted()
        counted = index.counted(platforms)
        if not counted:
            which = ", ".join(platforms or ("any platform",))
            return self._known(
                State.FAIL, f"no manifest for this cluster: the index has none for {which}"
            )
        return self._judge_manifests([entry.digest for entry in counted], tags)

    def _counted(self) -> Counted:
        """The platforms that count now."""
        key = self._platforms.key(self._rules)
        record = self._fetch((key,))[0] if key else None
        nodes = record if isinstance(record, Platforms) else None
        if nodes is not None:
            self._until = min(self._until, nodes.changes_at(self._now, self._policy_grace))
        return self._platforms.counted(self._rules, nodes, now=self._now, grace=self._policy_grace)

    def _judge_manifests(self, digests: list[str], tags: tuple[str | None, ...]) -> Known | Missing:
        """As good as the worst: one fail decides, whatever is not known of the others."""
        found = {digest: self._verdicts.of(self._of(digest, tags)) for digest in digests}
        verdicts = [verdict for verdict in found.values() if verdict is not None]
        unknown = [digest for digest, verdict in found.items() if verdict is None]
        if not unknown:
            return self._combine(verdicts)
        others = self._missing(unknown, tags)
        if not any(verdict.outcome is Outcome.FAIL for verdict in verdicts):
            return others
        return _beside_others(self._combine(verdicts), others)

    def _missing(self, digests: list[str], tags: tuple[str | None, ...]) -> Known | Missing:
        """No verdict: is it because something is known to be wrong?"""
        question = self._image.question
        subjects = [subject for digest in digests for subject in self._of(digest, tags)]
        asked = list(dict.fromkeys([*subjects, unresolved(self._image.reference)]))
        passing = []
        for error in self._verdicts.errors(asked):
            if error is not None and error.error is ErrorKind.TRANSIENT:
                passing.append(error.message)
            elif error is not None:
                return self._known(State.ERROR, self._why(error.message), (error,))
        keys = [verdict_key(subject, question) for subject in subjects]
        keys += [last_error_key(subject, question) for subject in asked]
        note = self._why(passing[-1] if passing else "")
        return Missing(Need.REQUEST, tuple(keys), tuple(subjects), note, resting=bool(passing))

    def _why(self, error: str) -> str:
        """Why there is no verdict, beside `error`: there may be one that counts no longer."""
        if not self._verdicts.dropped:
            return error
        changed = "the policy has changed since it was judged"
        return f"{changed}, and judging it anew failed: {error}" if error else changed

    def _combine(self, verdicts: list[Verdict]) -> Known:
        stale = self._verdicts.stale(verdicts)
        if stale and not self._failed_lately(stale):
            self._refresh = Need.REQUEST
        failed = any(verdict.outcome is Outcome.FAIL for verdict in verdicts)
        message = REPLACED if self._verdicts.replaced else ""
        known = self._known(State.FAIL if failed else State.PASS, message, tuple(verdicts))
        subjects = tuple(each for verdict in stale for each in self._verdicts.anew(verdict))
        return msgspec.structs.replace(known, subjects=subjects, overrun=self._verdicts.overrun)

    def _failed_lately(self, stale: list[Verdict]) -> bool:
        """Whether asking about all of these failed, and that error's time is not over: be it that
        their registry could not be asked."""
        each = [self._verdicts.errors(self._verdicts.anew(verdict)) for verdict in stale]
        if all(any(errors) for errors in each):
            return True
        (registry,) = self._verdicts.errors([unresolved(self._image.reference)])
        return registry is not None

    def _moved_on(self) -> bool | None:
        """Whether the tag beside the digest, as a registry said last, does not name it, and did not
        just before: as workers see it. None: nobody knows."""
        reference = self._image.reference
        if reference.tag is None or reference.digest is None:
            return False
        (pointer,) = self._fetch((pointer_key(reference),))
        if not isinstance(pointer, Pointer):
            return None
        return reference.digest not in (pointer.digest, pointer.previous)

    def _of(self, digest: str, tags: tuple[str | None, ...]) -> list[Subject]:
        repository = self._image.reference.repository
        return [Subject(repository, digest, tag) for tag in tags]

    def _known(self, state: State, message: str, verdicts: tuple[Verdict, ...] = ()) -> Known:
        judgement = Judgement(
            image=self._image.written,
            state=state,
            message=message,
            reference=self._image.reference,
            verdicts=verdicts,
            digest=self._digest,
            known_since=self._known_since,
        )
        return Known(judgement, self._refresh, until=min(self._until, self._verdicts.until))


def _beside_others(fail: Known, others: Known | Missing) -> Known:
    """A fail of one manifest, with what is known of those without a verdict: whoever lets the fail
    pass must not let those pass with it."""
    state, message = State.PENDING, ""
    if isinstance(others, Known):
        state, message = others.judgement.state, others.judgement.message
    elif others.note:
        message = others.note
    judgement = msgspec.structs.replace(fail.judgement, unjudged=state, message=message)
    known = msgspec.structs.replace(fail, judgement=judgement)
    if isinstance(others, Known) or others.resting:
        return known
    subjects = (*fail.subjects, *others.subjects)
    return msgspec.structs.replace(known, refresh=Need.REQUEST, subjects=subjects)
