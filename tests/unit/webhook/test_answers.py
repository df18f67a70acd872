"""The table of answers (docs/design/behaviour.md 3): what is allowed, and what a person reads."""

import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.answers import decide as decide_notes
from services.webhook.lines import MAX_WARNED, MAX_WARNINGS
from services.webhook.note import Note, note
from shared.domain.decision import Decision, Judgement, State
from shared.domain.exceptions import ImageException
from shared.domain.pointer import DAY
from shared.domain.reference import parse_reference
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT

NOW = 1_800_000_000_000
RULE = Rule()
GOOD = (State.PASS, State.TURNED, State.EXCEPTED, State.EXEMPT)


def decide(
    judgements: list[Judgement],
    *,
    rule: Rule,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
    advice: bool = False,
) -> Decision:
    notes = [note(each, rule, now) for each in judgements]
    return decide_notes(notes, now=now, by_system=by_system, dry_run=dry_run, advice=advice)


def finding(action: Action = Action.STOP, message: str = "openssh-server is installed") -> Finding:
    return Finding("packages", "blacklist", "t", action, message)


def verdict(outcome: Outcome, *findings: Finding, age: int = 0) -> Verdict:
    return Verdict(
        subject=Subject("docker.io/library/app", "sha256:" + "a" * 64, "1"),
        question=Question(),
        outcome=outcome,
        evaluated_at=NOW - age,
        findings=findings,
        policy_id="baseline",
        scan_id="s1",
    )


def judgement(state: State, *verdicts: Verdict, image: str = "app:1", **more: object) -> Judgement:
    reference = parse_reference(image) if state is not State.INVALID else None
    return Judgement(
        image=image,
        state=state,
        reference=reference,
        verdicts=verdicts,
        message=str(more.get("message", "")),
        since=NOW - 3_000 if state is State.PENDING else None,
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.INVALID, 403),
        (State.REFUSED, 403),
        (State.FAIL, 403),
        (State.ERROR, 403),
        (State.UNPINNED, 403),
        (State.UNDECIDED, 503),
        (State.PENDING, 429),
        (State.STORE_DOWN, 503),
        (State.QUEUE_DOWN, 503),
        (State.REGISTRY_AWAY, 503),
    ],
)
def test_each_state_that_is_not_good_is_denied_with_its_code(state: State, code: int) -> None:
    decision = decide([judgement(State.PASS), judgement(state)], rule=RULE, now=NOW)
    assert (decision.allowed, decision.code, decision.state) == (False, code, state)
    assert decision.message.startswith("image app:1: ")


@given(st.lists(st.sampled_from(State), min_size=1, max_size=6))
def test_an_object_is_allowed_only_when_every_image_of_it_is_good(states: list[State]) -> None:
    decision = decide([judgement(state) for state in states], rule=RULE, now=NOW)
    assert decision.allowed == all(state in GOOD for state in states)


def test_an_object_without_images_to_judge_is_allowed() -> None:
    assert decide([], rule=RULE, now=NOW).allowed


def test_a_fail_names_image_policy_reason_and_next_step_in_the_first_line() -> None:
    failed = verdict(Outcome.FAIL, *(finding(message=f"reason {n}") for n in range(30)))
    decision = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW)
    first, *rest = decision.message.split("\n")
    assert first == (
        "image app:1: refused by policy baseline: reason 0 (and 29 more). "
        "See: imagegate explain IMAGE"
    )
    assert rest[0] == "  stop: reason 0 (packages/blacklist)"
    assert len(rest) == 11
    assert rest[-1] == "  ... and 20 more findings"


def test_findings_that_were_not_kept_are_counted_with_those_that_are_not_shown() -> None:
    failed = verdict(Outcome.FAIL, *(finding(message=f"reason {n}") for n in range(12)))
    failed = msgspec.structs.replace(failed, findings_dropped=5)
    message = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW).message
    assert message.endswith("\n  ... and 7 more findings")


def test_each_image_that_is_denied_has_a_line_below_the_findings_of_the_worst() -> None:
    failed = verdict(Outcome.FAIL, *(finding(message=f"reason {n}") for n in range(30)))
    others = [judgement(State.PENDING, image=f"other:{n}") for n in range(14)]
    message = decide([*others, judgement(State.FAIL, failed)], rule=RULE, now=NOW).message
    lines = message.split("\n")
    assert lines[0].startswith("image app:1: refused by policy")
    assert lines[11] == "  ... and 20 more findings"
    assert lines[12].startswith("image other:0: not judged yet")
    assert lines[22:] == ["  ... and 4 more images"]


def test_what_is_true_of_one_image_for_two_rules_is_said_once() -> None:
    two = [judgement(State.STORE_DOWN), judgement(State.STORE_DOWN)]
    assert "\n" not in decide(two, rule=RULE, now=NOW).message


def test_a_denial_names_the_rule_and_the_policy_that_refuse() -> None:
    rules = [Rule(name=name, mode=Mode.ENFORCE) for name in ("payments", "pci")]
    verdicts = [verdict(Outcome.PASS), verdict(Outcome.FAIL, finding())]
    states = [State.PASS, State.FAIL]
    notes = [
        note(judgement(state, each), rule, NOW)
        for state, each, rule in zip(states, verdicts, rules, strict=True)
    ]
    decision = decide_notes(notes, now=NOW)
    assert decision.message.startswith("image app:1: refused by policy baseline (rule pci): ")
    assert (decision.rule, decision.audit["rule"]) == ("pci", "pci")


def test_a_long_finding_keeps_its_beginning_and_its_end() -> None:
    long = "Dockerfile directive 'FROM' check 'not_like' " + "x" * 200 + " for line 'debian'"
    failed = verdict(Outcome.FAIL, finding(message=long))
    message = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW).message
    assert "Dockerfile directive 'FROM'" in message
    assert "for line 'debian'" in message.split("\n")[0]


def test_the_first_line_of_a_vulnerability_names_package_fix_and_id_without_its_link() -> None:
    message = (
        "CRITICAL Vulnerability found in os package type (dpkg) - libexpat1 (fixed in: "
        "2.5.0-1+deb12u1)(CVE-2024-45491 - https://security-tracker.debian.org/tracker/CVE-2024-45491)"
    )
    failed = verdict(Outcome.FAIL, finding(message=message))
    first = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW).message.split("\n")[0]
    assert "libexpat1 (fixed in: 2.5.0-1+deb12u1)(CVE-2024-45491)" in first


def test_a_person_is_told_to_retry_and_a_controller_is_not() -> None:
    pending = [judgement(State.PENDING)]
    person = decide(pending, rule=RULE, now=NOW, by_system=False)
    controller = decide(pending, rule=RULE, now=NOW, by_system=True)
    assert (person.code, person.retry_after) == (429, 2)
    assert (controller.code, controller.retry_after) == (429, 0)


def pending(*, passed: int, usual: int = 0) -> Judgement:
    """Seconds since the scan was wanted, and how long such scans take (0: nobody knows)."""
    since = NOW - 1000 * passed
    return Judgement(image="app:1", state=State.PENDING, since=since, usual=1000 * usual)


@pytest.mark.parametrize(
    ("passed", "usual", "retry_after"),
    [
        (0, 0, 2),  # 10 s are assumed
        (3, 0, 2),
        (6, 0, 1),
        (0, 4, 1),
        (0, 25, 5),
        (10, 25, 3),
        (24, 25, 1),
        (0, 50, 10),
        (0, 100, 10),
        (0, 101, 0),
        (20, 120, 10),
        (0, 600, 0),
        (590, 600, 2),
        # What takes longer than usual may take as long again.
        (11, 10, 3),
        (60, 10, 10),
        (100, 10, 10),
        (101, 10, 0),
        (101, 0, 0),
        (3_600, 600, 0),
    ],
)
def test_a_person_is_told_to_retry_after_a_fifth_of_what_remains_if_that_is_soon_over(
    passed: int, usual: int, retry_after: int
) -> None:
    judged = [pending(passed=passed, usual=usual)]
    assert decide(judged, rule=RULE, now=NOW, by_system=False).retry_after == retry_after


def test_of_several_scans_the_longest_tells_when_to_retry() -> None:
    two = [pending(passed=9, usual=10), pending(passed=0, usual=30)]
    assert decide(two, rule=RULE, now=NOW, by_system=False).retry_after == 6
    long = [*two, pending(passed=0, usual=600)]
    assert decide(long, rule=RULE, now=NOW, by_system=False).retry_after == 0


def test_only_what_is_pending_is_asked_for_again_by_itself() -> None:
    for state in State:
        both = [judgement(State.PENDING), judgement(state)]
        decision = decide(both, rule=RULE, now=NOW, by_system=False)
        assert bool(decision.retry_after) == (state in (State.PENDING, *GOOD)), state


def test_what_was_judged_and_is_not_pinned_yet_is_asked_for_again_at_once() -> None:
    judged = judgement(State.PENDING, verdict(Outcome.PASS))
    judged = msgspec.structs.replace(judged, since=None)
    decision = decide([judged], rule=RULE, now=NOW, by_system=False)
    assert decision.retry_after == 1
    assert "its tag is not pinned to a digest yet: try again" in decision.message


def test_a_clock_that_was_set_back_makes_no_longer_silence_than_a_scan() -> None:
    assert decide([pending(passed=-500)], rule=RULE, now=NOW, by_system=False).retry_after == 2


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (State.PENDING, True),
        (State.ERROR, True),
        (State.STORE_DOWN, True),
        (State.QUEUE_DOWN, True),
        (State.REGISTRY_AWAY, True),
        (State.FAIL, False),
        (State.INVALID, False),
        (State.REFUSED, False),
    ],
)
def test_a_dry_run_lets_pass_what_is_not_judged_and_nothing_else(
    state: State, allowed: bool
) -> None:
    decision = decide([judgement(state)], rule=RULE, now=NOW, dry_run=True)
    assert decision.allowed is allowed
    assert not allowed or decision.warnings[0].startswith("not judged yet: ")


def test_a_dry_run_claims_no_scan_that_nobody_asked_for() -> None:
    decision = decide([judgement(State.PENDING)], rule=RULE, now=NOW, dry_run=True)
    (warning,) = decision.warnings
    assert warning.startswith("not judged yet: image ")
    assert "a dry run has nothing scanned" in warning
    assert "under way" not in warning


def test_a_dry_run_with_a_fail_beside_a_pending_image_is_denied() -> None:
    both = [judgement(State.PENDING), judgement(State.FAIL, verdict(Outcome.FAIL, finding()))]
    assert not decide(both, rule=RULE, now=NOW, dry_run=True).allowed


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("state", "allowed", "says"),
    [
        (State.PASS, True, ""),
        (State.PENDING, True, "not judged yet: pods with it are denied, and made again by them"),
        (State.ERROR, True, "could not be judged, pods with it are denied: no such image"),
        (State.STORE_DOWN, True, "verdict store (Redis) does not answer: pods with it are denied"),
        (State.QUEUE_DOWN, True, "queue (RabbitMQ) takes no request: pods with it are denied"),
        (
            State.REGISTRY_AWAY,
            True,
            "the registry cannot be asked what the tag names now: pods with",
        ),
        (State.FAIL, False, ""),
        (State.INVALID, False, ""),
        (State.REFUSED, False, ""),
    ],
)
def test_advice_on_a_workload_lets_pass_what_is_not_judged_and_says_what_its_pods_will_meet(
    state: State, allowed: bool, says: str, dry_run: bool
) -> None:
    message = "no such image" if state is State.ERROR else ""
    judged = [judgement(state, message=message)]
    decision = decide(judged, rule=RULE, now=NOW, advice=True, dry_run=dry_run)
    assert (decision.allowed, decision.state) == (allowed, state)
    assert decision.code == (200 if allowed else 403)
    if says:
        (warning,) = decision.warnings
        assert warning.startswith("image app:1: ")
        assert says in warning


def test_advice_beside_a_fail_is_a_denial() -> None:
    both = [judgement(State.PENDING), judgement(State.FAIL, verdict(Outcome.FAIL, finding()))]
    assert not decide(both, rule=RULE, now=NOW, advice=True).allowed


@given(st.text(max_size=600), st.text(max_size=600))
def test_advice_with_text_from_outside_is_one_bounded_line(image: str, message: str) -> None:
    bad = Judgement(image=image, state=State.ERROR, message=message)
    (warning,) = decide([bad], rule=RULE, now=NOW, advice=True).warnings
    assert len(warning) <= 256
    assert warning.splitlines() == [warning]


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
@pytest.mark.parametrize("state", [State.FAIL, State.PENDING, State.ERROR])
def test_advice_in_modes_that_deny_nothing_says_what_a_pod_would_be_told(
    mode: Mode, state: State
) -> None:
    bad = [judgement(state, verdict(Outcome.FAIL, finding()))]
    rule = Rule(mode=mode)
    assert decide(bad, rule=rule, now=NOW, advice=True) == decide(bad, rule=rule, now=NOW)


def test_the_tags_of_a_workload_are_none_to_warn_of() -> None:
    decision = decide(
        [judgement(State.PASS, verdict(Outcome.PASS))], rule=RULE, now=NOW, advice=True
    )
    assert (decision.warnings, decision.unpinned) == ((), 0)


def test_a_decision_names_the_images_it_is_about_bounded() -> None:
    two = [judgement(State.PASS, image="app:1"), judgement(State.FAIL, image="app:2")]
    assert decide([*two, two[0]], rule=RULE, now=NOW).images == ("app:1", "app:2")
    many = [Judgement(f"{n}{'x' * 900}", State.ERROR) for n in range(40)]
    images = decide(many, rule=RULE, now=NOW).images
    assert len(images) == MAX_IMAGES
    assert max(map(len, images)) == MAX_TEXT


def test_mode_warn_says_it_and_mode_audit_notes_it() -> None:
    failed = judgement(State.FAIL, verdict(Outcome.FAIL, finding()))
    warned = decide([failed], rule=Rule(mode=Mode.WARN), now=NOW)
    audited = decide([failed], rule=Rule(mode=Mode.AUDIT), now=NOW)
    assert warned.allowed
    assert "openssh-server is installed" in warned.warnings[0]
    assert audited.allowed
    assert not any("openssh" in warning for warning in audited.warnings)
    assert "openssh-server is installed" in audited.audit["message"]


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.WARN, Mode.AUDIT])
def test_what_is_no_reference_is_denied_in_every_mode(mode: Mode) -> None:
    invalid = Judgement(image="NO/reference", state=State.INVALID, message="not a reference")
    pending = judgement(State.PENDING)
    decision = decide([pending, invalid], rule=Rule(mode=mode), now=NOW)
    assert (decision.allowed, decision.code) == (False, 403)


def test_warn_findings_old_verdicts_and_moving_tags_are_warnings_of_an_allowed_pod() -> None:
    old = verdict(Outcome.PASS, finding(Action.WARN, "no HEALTHCHECK"), age=2 * DAY)
    decision = decide([judgement(State.PASS, old)], rule=RULE, now=NOW)
    assert decision.warnings == (
        "not pinned to a digest, the tag can move before it is pulled: app:1",
        "image app:1: its verdict is 2 days old",
        "image app:1: no HEALTHCHECK",
    )
    pinned = judgement(State.PASS, verdict(Outcome.PASS), image="app@sha256:" + "a" * 64)
    assert decide([pinned], rule=RULE, now=NOW).warnings == ()
    assert (decision.unpinned, decide([pinned], rule=RULE, now=NOW).unpinned) == (1, 0)


WORDS = st.text(max_size=400)


@given(st.lists(WORDS, max_size=40), st.lists(WORDS, min_size=1, max_size=15))
def test_warnings_stay_within_what_kubernetes_keeps_whole(
    messages: list[str], images: list[str]
) -> None:
    noisy = verdict(Outcome.PASS, *(finding(Action.WARN, message) for message in messages))
    excused = verdict(Outcome.FAIL, finding())
    notes = [note(Judgement(image, State.PASS, verdicts=(noisy,)), RULE, NOW) for image in images]
    warned = Rule(mode=Mode.WARN)
    notes += [note(Judgement(i, State.FAIL, verdicts=(excused,)), warned, NOW) for i in images]
    warnings = decide_notes(notes, now=NOW).warnings
    assert len(warnings) <= MAX_WARNINGS
    assert len(set(warnings)) == len(warnings)
    assert sum(len(warning.encode()) for warning in warnings) <= MAX_WARNED
    for warning in warnings:
        assert len(warning) <= 256


def test_what_warnings_there_is_no_room_for_is_counted() -> None:
    noisy = verdict(Outcome.PASS, *(finding(Action.WARN, f"finding {n}") for n in range(50)))
    pinned = judgement(State.PASS, noisy, image="app@sha256:" + "a" * 64)
    warnings = decide([pinned], rule=RULE, now=NOW).warnings
    assert len(warnings) == MAX_WARNINGS
    assert warnings[-1] == "and 39 more warnings, for which there is no room"
    wide = verdict(Outcome.PASS, *(finding(Action.WARN, f"{n}" + "\u6f22" * 300) for n in range(9)))
    warnings = decide(
        [judgement(State.PASS, wide, image="app@sha256:" + "a" * 64)], rule=RULE, now=NOW
    ).warnings
    assert warnings[-1] == "and 4 more warnings, for which there is no room"


def test_why_an_image_may_run_is_said_before_anything_else() -> None:
    turned = msgspec.structs.replace(
        judgement(State.TURNED, verdict(Outcome.FAIL, finding()), image="b:1"), allowed_until=NOW
    )
    noisy = verdict(Outcome.PASS, *(finding(Action.WARN, f"finding {n}") for n in range(50)))
    decision = decide([judgement(State.PASS, noisy), turned], rule=RULE, now=NOW)
    assert (decision.allowed, decision.state) == (True, State.TURNED)
    assert decision.warnings[0].startswith(
        "image b:1: allowed until 2027-01-15 08:00 UTC only, then"
    )
    assert decision.reason == decision.audit["message"] == decision.warnings[0]


def test_an_exception_that_lets_an_image_run_unseen_is_said_with_its_end_and_noted() -> None:
    exception = ImageException("a.b/c", ("all",), ("*",), "no fix yet", "team-a", NOW, id="x1")
    exempt = Judgement("a.b/c@sha256:1", State.EXEMPT, exceptions=(exception,), allowed_until=NOW)
    decision = decide([exempt], rule=RULE, now=NOW)
    assert decision.warnings == (
        "image a.b/c@sha256:1: allowed until 2027-01-15 08:00 UTC by an exception of team-a: "
        "no fix yet",
    )
    assert decision.reason == decision.warnings[0]
    assert decision.audit["exceptions"] == "x1 (team-a)"
    assert decide([Judgement("a", State.EXEMPT)], rule=Rule(mode=Mode.ALLOW), now=NOW).reason == ""


def test_beside_a_denial_what_only_warns_is_a_warning_and_no_line_of_it() -> None:
    modes = {"a:1": Mode.ENFORCE, "b:1": Mode.WARN, "c:1": Mode.AUDIT}
    failed = verdict(Outcome.FAIL, finding())
    notes = [
        note(judgement(State.FAIL, failed, image=image), Rule(name=image, mode=mode), NOW)
        for image, mode in modes.items()
    ]
    decision = decide_notes(notes, now=NOW)
    assert "b:1" not in decision.message
    assert [warning[:10] for warning in decision.warnings] == ["image b:1:"]
    only_audited = decide_notes([notes[0], notes[2]], now=NOW)
    assert only_audited.warnings == ()
    assert only_audited.audit["message"].startswith("image c:1: refused")


def notes_of(states: list[State], texts: list[str], modes: list[Mode]) -> list[Note]:
    """Each state with each text wherever a text from outside may stand."""
    notes = []
    for state, text, mode in zip(states, texts * 9, modes * 9, strict=False):
        exception = ImageException(text, (text,), (text,), text, text, NOW, id=text)
        found = Finding(text, text, text, Action.STOP, text)
        subject = Subject(text, text, text)
        failed = Verdict(
            subject, Question(), Outcome.FAIL, NOW, (found, found), policy_id=text, scan_id=text
        )
        judged = Judgement(
            image=text,
            state=state,
            message=text,
            verdicts=(failed,) if state in (State.FAIL, State.TURNED) else (),
            exceptions=(exception,),
        )
        notes.append(note(judged, Rule(name=text, mode=mode), NOW))
    return notes


HOSTILE = st.text(max_size=600) | st.sampled_from(
    ["\x1b[2J" * 99, "\r\n" * 200, "\u202e" * 300, "\u6f22" * 600, "a" * 600, "\u2028"]
)


@given(
    st.lists(st.sampled_from(State), min_size=1, max_size=6),
    st.lists(HOSTILE, min_size=1, max_size=3),
    st.lists(st.sampled_from(Mode), min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_whatever_stands_in_texts_from_outside_an_answer_is_bounded_and_of_printable_lines(
    states: list[State], texts: list[str], modes: list[Mode], dry_run: bool, advice: bool
) -> None:
    decision = decide_notes(notes_of(states, texts, modes), now=NOW, dry_run=dry_run, advice=advice)
    lines = decision.message.split("\n")
    assert len(lines) <= 23
    for line in (*lines, *decision.warnings, decision.reason, *decision.audit.values()):
        assert len(line) <= 256
        assert "Cc" not in {unicodedata.category(character) for character in line}
    assert set(decision.audit) <= ANNOTATIONS


ANNOTATIONS = {
    "decision",
    "rule",
    "policy",
    "verdict-age-seconds",
    "scan-id",
    "exceptions",
    "message",
}


@pytest.mark.parametrize("key", sorted(ANNOTATIONS))
def test_an_annotations_key_is_the_name_part_of_a_qualified_name(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", key)


def test_audit_annotations_have_short_keys_and_bounded_values() -> None:
    audit = decide(
        [judgement(State.PASS, verdict(Outcome.PASS, age=9_000))], rule=RULE, now=NOW
    ).audit
    assert audit == {
        "decision": "pass",
        "rule": "default",
        "policy": "baseline",
        "verdict-age-seconds": "9",
        "scan-id": "s1",
    }
