"""Warnings of an answer: what is said first, and how much of it Kubernetes keeps."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.answers import decide as decide_notes
from services.webhook.lines import MAX_WARNED, MAX_WARNINGS
from services.webhook.note import note
from shared.domain.decision import Judgement, State
from shared.domain.exceptions import ImageException
from shared.domain.pointer import DAY
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Action, Outcome
from tests.unit.webhook.judged import NOW, RULE, decide, finding, judgement, verdict


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
