"""The table of answers (docs/design/behaviour.md 3): what is allowed, and what a person reads."""

import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.answers import decide as decide_notes
from services.webhook.note import Note, note
from shared.domain.decision import Judgement, State
from shared.domain.exceptions import ImageException
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT
from tests.unit.webhook.judged import GOOD, NOW, RULE, decide, finding, judgement, verdict


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


def test_a_decision_names_the_images_it_is_about_bounded() -> None:
    two = [judgement(State.PASS, image="app:1"), judgement(State.FAIL, image="app:2")]
    assert decide([*two, two[0]], rule=RULE, now=NOW).images == ("app:1", "app:2")
    many = [Judgement(f"{n}{'x' * 900}", State.ERROR) for n in range(40)]
    images = decide(many, rule=RULE, now=NOW).images
    assert len(images) == MAX_IMAGES
    assert max(map(len, images)) == MAX_TEXT


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
