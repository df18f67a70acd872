"""The first line says image, reason and next step by itself, within 256 characters, whatever the
image is called and whatever others said of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.images import UNDECIDED, Ruled, cases_of
from services.webhook.lines import FIRST_LINE, MIN_IMAGE, Said, image_line
from services.webhook.wording import advice_of, line_of
from shared.domain.decision import Judgement, State
from shared.domain.rules import Match, Mode, Rule, Rules
from shared.domain.scope import Occasion, RuleBook
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict

NOW = 1_800_000_000_000
DIGEST = "sha256:" + "a" * 64
PINNED = f"registry.corp:5000/team/app:1.0@{DIGEST}"

NEXT_STEPS = {
    State.FAIL: ". See: imagegate explain IMAGE",
    State.ERROR: ". See: imagegate explain IMAGE",
    State.PENDING: ": try again",
    State.STORE_DOWN: ": try again later",
    State.QUEUE_DOWN: ": try again later",
    State.REGISTRY_AWAY: ": try again, or pin a digest",
    State.UNPINNED: ", or give a digest",
}
REASONS = {
    State.FAIL: "refused by policy ",
    State.ERROR: "could not be judged: ",
    State.PENDING: "not judged yet, its scan is under way since 12 s, such scans take about 5 min",
    State.STORE_DOWN: "not judged yet, and imagegate's verdict store (Redis) does not answer",
    State.QUEUE_DOWN: "not judged yet, and imagegate's queue (RabbitMQ) takes no request",
    State.REGISTRY_AWAY: "the registry cannot be asked what the tag names now",
    State.UNPINNED: "it is named by a tag alone, which can move before it is pulled",
}


def judgement(state: State, *, image: str = PINNED, message: str = "") -> Judgement:
    finding = Finding("packages", "blacklist", "t", Action.STOP, message)
    failed = Verdict(
        Subject("a.b/c", DIGEST),
        Question(),
        Outcome.FAIL,
        NOW,
        (finding, finding),
        policy_id=message,
    )
    return Judgement(
        image=image,
        state=state,
        message=message,
        since=NOW - 12_000,
        usual=300_000,
        verdicts=(failed,) if state is State.FAIL else (),
    )


@pytest.mark.parametrize("state", sorted(NEXT_STEPS))
@given(
    image=st.text(max_size=800) | st.integers(0, 500).map(lambda n: f"a.b/{'c' * n}:1@{DIGEST}"),
    message=st.text(max_size=800),
    rule=st.text(max_size=300),
)
def test_image_reason_and_next_step_stand_in_the_first_line_however_long_the_rest_is(
    state: State, image: str, message: str, rule: str
) -> None:
    line = line_of(judgement(state, image=image, message=message), NOW, rule=rule)
    assert len(line) <= FIRST_LINE
    assert line.splitlines() in ([line], [])
    assert NEXT_STEPS[state] in line
    beginning, colon, said = line.removeprefix("image ").partition(f": {REASONS[state]}")
    assert (bool(colon), bool(said)) == (True, True)
    name = image.partition("@sha256:")[0]
    assert len(beginning) >= min(len(name), MIN_IMAGE - 16)


def test_a_pinned_image_is_told_whole_where_there_is_room_and_by_the_beginning_of_its_digest() -> (
    None
):
    assert line_of(judgement(State.STORE_DOWN), NOW).startswith(f"image {PINNED}: not judged")
    long = judgement(State.ERROR, message="x" * 300)
    assert line_of(long, NOW).startswith(
        "image registry.corp:5000/team/app:1.0@sha256:aaaaaaaaaaaa…: could not be judged: xxx"
    )


def test_of_a_long_name_beginning_and_end_are_told() -> None:
    image = f"registry.corp/{'deep/' * 60}app:v1.2.3"
    line = line_of(judgement(State.ERROR, image=image, message="y" * 300), NOW)
    assert line.startswith("image registry.corp/deep/deep/")
    assert "/app:v1.2.3: could not be judged: yyy" in line


@pytest.mark.parametrize(
    ("since", "usual", "said"),
    [
        (NOW, 0, "its scan is under way since 0 s: try again"),
        (NOW - 3_400, 0, "its scan is under way since 3 s: try again"),
        (NOW - 12_000, 24_600, "since 12 s, such scans take about 25 s: try again"),
        (NOW - 600_000, 420_000, "since 10 min, such scans take about 7 min: try again"),
        (NOW + 5_000, 0, "since 0 s: try again"),
    ],
)
def test_pending_says_since_when_and_how_long_such_scans_take(
    since: int, usual: int, said: str
) -> None:
    pending = Judgement("app:1", State.PENDING, since=since, usual=usual)
    assert line_of(pending, NOW).endswith(said)


def test_pending_says_why_the_last_try_told_nothing() -> None:
    pending = Judgement("app:1", State.PENDING, since=NOW, message="Anchore is taken for down")
    assert line_of(pending, NOW).endswith(": try again. Last try: Anchore is taken for down")


def test_pending_says_that_a_namespace_has_as_many_scans_as_it_may() -> None:
    pending = Judgement(PINNED, State.PENDING, since=NOW, over="n" * 63)
    line = line_of(pending, NOW)
    assert line.endswith(
        f"20 new images of namespace {'n' * 63} are being analysed, as many as one may have: "
        "try again"
    )
    assert len(line) <= FIRST_LINE


def test_no_manifest_for_this_cluster_is_a_fail_without_a_verdict_and_says_what_to_do() -> None:
    none = Judgement("app:1", State.FAIL, message="no manifest for this cluster")
    assert line_of(none, NOW) == (
        "image app:1: no manifest for this cluster. See: imagegate explain IMAGE"
    )


def refused(image: str, rules: Rules) -> str:
    """The line of an image that no look-up can help."""
    scope = RuleBook(rules).scope(Occasion("team", "ada"))
    (case,) = cases_of((image, False), scope, rules, scanner="anchore", now=NOW)
    assert isinstance(case, Ruled)
    return line_of(case.judgement, NOW, rule=case.rule.name)


LONG = f"{'very.' * 25}long.example/team/{'c' * 40}:1@{DIGEST}"
LABELLED = Match(namespace_labels=(("tier", "prod"),))


@pytest.mark.parametrize(
    ("image", "rules", "reason", "next_step"),
    [
        (
            LONG,
            Rules(allow_registries=("ghcr.io",)),
            "registry very.",
            "use an image of one that is, or have it added",
        ),
        (
            LONG,
            Rules(default=Rule(name="x" * 300, mode=Mode.DENY)),
            "rule xxx",
            "denies it: use another image, or have the rule changed",
        ),
        (
            LONG,
            Rules(rules=(Rule(name="prod", match=LABELLED),)),
            "which rule is about it depends on labels of its namespace",
            "try again, see whether imagegate may read namespaces",
        ),
        (
            LONG,
            Rules(placeholders=(LONG,)),
            "the placeholder",
            "was called for this pod",
        ),
        ("x" * 5_000, Rules(), "the image reference is too long", "(5000 characters)"),
        (f"{LONG}x", Rules(), "the digest must be sha256: and 64", "lower-case hex digits"),
        ("a" * 64, Rules(), "an image id is not a reference", "name a repository"),
        ("sha256:deadbeef", Rules(), "an image id is not a reference", "name a repository"),
    ],
)
def test_what_no_look_up_can_help_says_why_and_what_to_do(
    image: str, rules: Rules, reason: str, next_step: str
) -> None:
    line = refused(image, rules)
    assert len(line) <= FIRST_LINE
    assert line.startswith(f"image {image[:25]}")
    assert f": {reason}" in line
    assert line.endswith(next_step)


@given(
    st.sampled_from(sorted(set(REASONS) - {State.FAIL})),
    st.text(max_size=800),
    st.text(max_size=800),
)
def test_advice_is_one_line_that_says_what_the_pods_will_meet(
    state: State, image: str, message: str
) -> None:
    line = advice_of(judgement(state, image=image, message=message))
    assert len(line) <= FIRST_LINE
    assert line.splitlines() in ([line], [])
    assert "pods with it" in line


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_a_line_is_never_longer_than_a_line(image: str, before: str, why: str, after: str) -> None:
    assert len(image_line(image, Said(before, why, after))) <= FIRST_LINE


def test_undecided_has_room_beside_a_pinned_image() -> None:
    judged = msgspec.structs.replace(judgement(State.UNDECIDED), message=UNDECIDED)
    line = line_of(judged, NOW)
    assert line == f"image registry.corp:5000/team/app:1.0@sha256:aaaaaaaaaaaa…: {UNDECIDED}"
