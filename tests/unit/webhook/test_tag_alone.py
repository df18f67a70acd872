"""What is said of an image that is named by a tag alone, where rules want a digest
(docs/design/behaviour.md 1 and 3)."""

import itertools

import msgspec
import pytest

from services.webhook.answers import decide
from services.webhook.note import note
from services.webhook.settling import UNSEEN, settle
from services.webhook.terms import Terms
from shared.domain.decision import Decision, Judgement, State
from shared.domain.exceptions import ImageException
from shared.domain.pointer import FOREVER, SECOND
from shared.domain.reference import parse_reference
from shared.domain.rules import Mode, PinWhat, Rule, Tags
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict

NOW = 1_800_000_000_000
DIGEST = "sha256:" + "a" * 64
LONG_AGO = NOW - 3_600 * SECOND
GOOD = Verdict(Subject("registry.corp/app", DIGEST, "1"), Question(), Outcome.PASS, NOW - SECOND)
PASS = Judgement(
    "registry.corp/app:1",
    State.PASS,
    reference=parse_reference("registry.corp/app:1"),
    verdicts=(GOOD,),
    digest=DIGEST,
    known_since=LONG_AGO,
)
UNRESOLVED = msgspec.structs.replace(
    PASS,
    state=State.PENDING,
    verdicts=(),
    digest="",
    known_since=0,
    since=NOW - 40 * SECOND,
    unresolved=True,
    message="registry.corp: no connection",
)


def settled(judgement: Judgement, *, rule: Rule | None = None, now: int = NOW) -> State:
    return settle(judgement, rule or Rule(), terms=Terms(), exceptions=(), now=now).judgement.state


def decided(judgement: Judgement, *, by_system: bool = False, dry_run: bool = False) -> Decision:
    """What a person is answered."""
    rule = Rule()
    counted = settle(judgement, rule, terms=Terms(), exceptions=(), now=NOW).judgement
    return decide([note(counted, rule, NOW)], now=NOW, by_system=by_system, dry_run=dry_run)


def test_a_tag_that_has_been_known_for_a_while_is_refused_with_what_to_look_at() -> None:
    decision = decided(PASS)
    assert (decision.code, decision.state) == (403, State.UNPINNED)
    assert decision.message == (
        "image registry.corp/app:1: it is named by a tag alone, which can move before it is "
        "pulled: see that imagegate's mutating webhook is called and no other webhook replaces "
        "images after it, or give a digest"
    )
    assert decision.retry_after == 0


def test_a_tag_that_mutate_may_have_come_too_early_for_is_tried_again() -> None:
    new = msgspec.structs.replace(PASS, known_since=NOW - SECOND)
    decision = decided(new)
    assert (decision.code, decision.state) == (429, State.PENDING)
    assert decision.message == (
        "image registry.corp/app:1: judged, and its tag is not pinned to a digest yet: "
        "try again, then it will be"
    )
    assert decision.retry_after > 0


def test_however_often_somebody_tries_again_the_answer_changes_once() -> None:
    """The registry is asked again all the while, as the pull policy Always has it."""
    first = NOW - 300
    states = [
        settled(msgspec.structs.replace(PASS, known_since=first), now=NOW + 250 * number)
        for number in range(400)
    ]
    assert [state for state, _ in itertools.groupby(states)] == [State.PENDING, State.UNPINNED]


@pytest.mark.parametrize("clock", [-UNSEEN, 0, UNSEEN - 1])
def test_an_answer_that_time_changes_is_kept_until_then(clock: int) -> None:
    new = msgspec.structs.replace(PASS, known_since=NOW)
    kept = settle(new, Rule(), terms=Terms(), exceptions=(), now=NOW + clock)
    assert (kept.judgement.state, kept.until) == (State.PENDING, NOW + UNSEEN)


def test_an_exception_that_ends_changes_it_too() -> None:
    stop = Finding("vulnerabilities", "package", "CVE-1+openssl", Action.STOP, "CVE-1")
    fail = msgspec.structs.replace(GOOD, outcome=Outcome.FAIL, findings=(stop,))
    judgement = msgspec.structs.replace(PASS, state=State.FAIL, verdicts=(fail,))
    exception = ImageException(
        image="registry.corp/app",
        findings=("CVE-1+openssl",),
        namespaces=("*",),
        reason="no fix yet",
        owner="team",
        expires=NOW + 1,
    )
    within, after = (
        settle(judgement, Rule(), terms=Terms(), exceptions=[exception], now=now)
        for now in (NOW, NOW + 1)
    )
    assert (within.judgement.state, within.until) == (State.UNPINNED, NOW + 1)
    assert after.judgement.state is State.FAIL


def test_while_the_registry_is_asked_for_the_first_time_it_is_pending() -> None:
    asked = msgspec.structs.replace(UNRESOLVED, unresolved=False, message="")
    decision = decided(asked)
    assert (decision.code, decision.state) == (429, State.PENDING)


def test_a_registry_that_is_away_is_said_and_not_waited_for_without_end() -> None:
    decision = decided(UNRESOLVED)
    assert (decision.code, decision.state) == (403, State.UNPINNED)
    assert decision.message == (
        "image registry.corp/app:1: its registry has not said for 40 s what the tag names, so that "
        "it cannot be pinned: try again. Last try: registry.corp: no connection"
    )


@pytest.mark.parametrize("length", [1, 100, 5_000])
def test_the_reason_is_in_the_first_256_characters(length: int) -> None:
    long = msgspec.structs.replace(
        UNRESOLVED, image=f"registry.corp/{'a' * length}:1", message="x" * length
    )
    first = decided(long).message.split("\n")[0]
    assert len(first) <= 256
    assert "its registry has not said for 40 s what the tag names" in first


def test_a_registry_that_is_away_excuses_no_tag_that_is_known() -> None:
    """/mutate would have pinned it to what it named last."""
    assert settled(msgspec.structs.replace(PASS, state=State.REGISTRY_AWAY)) is State.UNPINNED


@pytest.mark.parametrize(
    "state",
    [
        State.FAIL,
        State.ERROR,
        State.PENDING,
        State.STORE_DOWN,
        State.QUEUE_DOWN,
    ],
)
def test_what_is_worse_or_has_a_reason_of_its_own_stays_what_it_is(state: State) -> None:
    assert settled(msgspec.structs.replace(PASS, state=state, verdicts=())) is state


@pytest.mark.parametrize("image", [f"registry.corp/app@{DIGEST}", f"registry.corp/app:1@{DIGEST}"])
def test_a_digest_is_not_asked_for_more(image: str) -> None:
    pinned = msgspec.structs.replace(PASS, image=image, reference=parse_reference(image))
    assert settled(pinned) is State.PASS


@pytest.mark.parametrize(
    ("rule", "pin", "wants"),
    [
        (Rule(), PinWhat.PODS, True),
        (Rule(), PinWhat.ALL, True),
        (Rule(), PinWhat.NONE, False),
        (Rule(tags=Tags.PINNED), PinWhat.NONE, True),
        (Rule(tags=Tags.ALLOW), PinWhat.PODS, False),
        (Rule(pin=PinWhat.NONE), PinWhat.PODS, True),
        (Rule(pin=PinWhat.NONE, tags=Tags.ALLOW), PinWhat.ALL, False),
        *((Rule(mode=mode), PinWhat.PODS, False) for mode in Mode if mode is not Mode.ENFORCE),
    ],
)
def test_a_digest_is_wanted_in_mode_enforce_unless_the_rule_or_the_setting_says_otherwise(
    rule: Rule, pin: PinWhat, wants: bool
) -> None:
    assert Terms(pin=pin).wants_digest(rule) is wants
    counted = settle(PASS, rule, terms=Terms(pin=pin), exceptions=(), now=NOW).judgement
    assert counted.state is (State.UNPINNED if wants else State.PASS)


def test_a_workload_may_name_tags() -> None:
    counted = settle(PASS, Rule(), terms=Terms(), exceptions=(), now=NOW, advice=True)
    assert (counted.judgement.state, counted.until) == (State.PASS, FOREVER)


@pytest.mark.parametrize("judgement", [PASS, UNRESOLVED])
def test_a_dry_run_passes_and_is_told(judgement: Judgement) -> None:
    decision = decided(judgement, dry_run=True)
    assert decision.allowed
    assert decision.warnings[0].startswith("not judged yet: image registry.corp/app:1: i")
