"""What a row tells of an image that several rules are about, or that is none."""

from typing import Any

import msgspec
import pytest

from services.cli.prewarm.found import Found
from services.cli.prewarm.rows import (
    MAX_FINDINGS,
    MAX_TEXT,
    Outcome,
    Part,
    Row,
    judged_part,
    rows_of,
    ruled_part,
)
from services.cli.prewarm.wanted import (
    MAX_NAMESPACES,
    MAX_TITLES,
    Setting,
    Stands,
    Wanted,
    WantedImages,
)
from services.webhook.images import Case, Ruled
from services.webhook.terms import Terms
from shared.domain.decision import Judgement, State
from shared.domain.glob import Glob
from shared.domain.rules import Match, Mode, Rule, Rules
from shared.domain.scope import RuleBook
from shared.domain.verdict import Action, Finding, Question, Subject, Verdict
from shared.domain.verdict import Outcome as Verdicts

RULES = Rules(default=Rule("warned", Mode.WARN))
PASS = Part(Outcome.PASS, State.PASS, True, "first", "enforce")
SPARED = Part(Outcome.FAIL, State.FAIL, True, "warned", "warn", "it is bad")
STOPPED = Part(Outcome.UNFINISHED, State.PENDING, False, "second", "enforce", "not judged yet")


def gathered(*found: Found, exempt: str = "", user: str = "", rules: Rules = RULES) -> WantedImages:
    setting = Setting(user, lambda namespace: {}, lambda namespace: namespace == exempt)
    images = WantedImages(book=RuleBook(rules), terms=Terms(), setting=setting, now=0)
    for each in found:
        images.add(each)
    return images


def pod(image: str, namespace: str = "shop", *, runs: bool = True) -> Found:
    return Found(namespace, (image,), f"Pod {namespace}/web", runs=runs)


def row(*parts: Part) -> Row:
    (wanted,) = gathered(pod("registry.corp/app:1")).all
    (told,) = rows_of([(wanted, parts)])
    return told


def test_of_several_rules_the_one_that_keeps_pods_from_starting_is_told() -> None:
    """Though what another found is worse, and spared."""
    told = row(PASS, SPARED, STOPPED)
    assert (told.outcome, told.rule, told.allowed) == (Outcome.UNFINISHED, "second", False)


def test_of_rules_that_all_let_it_run_the_worst_outcome_is_told() -> None:
    told = row(PASS, SPARED)
    assert (told.outcome, told.rule, told.spared, told.refused) == (
        Outcome.FAIL,
        "warned",
        True,
        False,
    )


def test_what_is_no_image_starts_under_no_rule() -> None:
    """The webhook refuses it before any mode counts."""
    (wanted,) = gathered(pod("no image!")).all
    (ruled,) = wanted.cases
    assert isinstance(ruled, Ruled)
    part = ruled_part(ruled, now=0)
    assert (part.state, part.outcome, part.allowed) == (State.INVALID, Outcome.FAIL, False)
    assert (part.rule, part.mode) == ("", "")
    lenient = msgspec.structs.replace(ruled, rule=Rule("warned", Mode.WARN))
    assert not ruled_part(lenient, now=0).allowed


def test_the_same_in_several_places_is_one_row_with_all_that_stands_on_it() -> None:
    one, other = (
        gathered(pod("registry.corp/app:1", namespace)).all[0] for namespace in ("shop", "team")
    )
    (told,) = rows_of([(one, [PASS]), (other, [PASS])])
    assert (told.pods, told.namespaces) == (2, ("shop", "team"))
    assert told.objects == ("Pod shop/web", "Pod team/web")


def test_an_image_is_one_however_it_is_spelt() -> None:
    wanted: list[Wanted] = gathered(
        pod("nginx"), pod("docker.io/library/nginx:latest"), pod("index.docker.io/nginx")
    ).all
    assert [(each.image, each.pods) for each in wanted] == [("docker.io/library/nginx:latest", 3)]


def test_a_placeholder_is_no_image_in_a_template_and_one_in_a_pod_that_runs() -> None:
    """There nobody replaced it."""
    assert len(gathered(pod("auto", runs=False))) == 0
    assert len(gathered(pod("auto"))) == 1


def test_what_stands_in_an_exempt_namespace_is_counted_and_not_judged() -> None:
    images = gathered(pod("a:1", "kube-system"), pod("b:1", "kube-system"), exempt="kube-system")
    assert len(images) == 0
    assert images.exempt == {"kube-system": 2}


def test_who_needs_more_counts_first_and_is_asked_for_first() -> None:
    """Of what stands on an image pods go before what makes them: these run."""
    images = gathered(
        pod("rare:1"),
        *(Found("shop", ("made:1",), f"Deployment shop/{at}") for at in range(5)),
        *(pod("many:1", f"n{at}") for at in range(3)),
    ).all
    assert [(each.image.split("/")[2], each.weight) for each in images] == [
        ("many:1", (3, 0)),
        ("rare:1", (1, 0)),
        ("made:1", (0, 5)),
    ]


def test_the_worst_row_comes_first_and_what_runs_all_the_same_after_what_does_not() -> None:
    wanted = gathered(
        pod("spared:1"),
        pod("spared:1", "b"),
        pod("stopped:1"),
        *[Found("shop", ("made:1",), "Deployment shop/made")] * 3,
        *[pod("good:1")] * 9,
    ).all
    refused = msgspec.structs.replace(SPARED, allowed=False)
    parts = {"spared:1": SPARED, "stopped:1": refused, "made:1": refused, "good:1": PASS}
    rows = rows_of((each, [parts[each.image.split("/")[2]]]) for each in wanted)
    assert [row.image.split("/")[2] for row in rows] == [
        "stopped:1",
        "made:1",
        "spared:1",
        "good:1",
    ]


@pytest.mark.parametrize("unlike", [{"says": "else"}, {"rule": "second"}, {"allowed": False}])
def test_what_is_not_the_same_everywhere_is_a_row_each(unlike: dict[str, Any]) -> None:
    one, other = (
        gathered(pod("registry.corp/app:1", namespace)).all[0] for namespace in ("shop", "team")
    )
    rows = rows_of([(one, [SPARED]), (other, [msgspec.structs.replace(SPARED, **unlike)])])
    assert {row.namespaces for row in rows} == {("shop",), ("team",)}


def test_what_makes_pods_is_told_before_pods_and_what_is_named_alone_makes_none() -> None:
    image = "registry.corp/app:1"
    (wanted,) = gathered(
        pod(image), Found("shop", (image,), "Deployment shop/web"), Found("team", (image,))
    ).all
    (told,) = rows_of([(wanted, [PASS])])
    assert told.objects == ("Deployment shop/web", "Pod shop/web")
    assert (told.pods, told.workloads, told.namespaces) == (1, 1, ("shop", "team"))


def test_of_what_stands_on_an_image_so_much_is_named_and_all_is_counted() -> None:
    image, half = "registry.corp/app:1", MAX_NAMESPACES // 2
    several = [
        gathered(
            *(pod(image, f"{which}{at}") for at in range(MAX_NAMESPACES + 1)),
            *(Found("shop", (image,), f"Job {which}/{at}") for at in range(half)),
        ).all[0]
        for which in "ab"
    ]
    for wanted, times in ((several[:1], 1), (several, 2)):
        (told,) = rows_of((each, [PASS]) for each in wanted)
        assert (len(told.namespaces), len(told.objects)) == (MAX_NAMESPACES, MAX_TITLES)
        assert (told.pods, told.workloads) == (times * (MAX_NAMESPACES + 1), times * half)


def test_what_names_several_images_stands_once_on_those_that_would_be_refused() -> None:
    both = Found("shop", ("a:1", "b:1"), "Deployment shop/web")
    images = gathered(both, pod("b:1"), pod("c:1"), Found("shop", ("a:1",)))
    of = {each.image.split("/")[2]: each for each in images.all}
    assert [of[name].weight for name in ("a:1", "b:1", "c:1")] == [(0, 1), (1, 1), (1, 0)]
    assert images.standing({of["a:1"]}) == Stands(0, 1)
    assert images.standing({of["a:1"], of["b:1"]}) == Stands(1, 1)
    assert images.standing() == Stands(2, 1)
    assert images.standing(set()) == Stands(0, 0)


def test_images_of_exempt_namespaces_are_counted_each() -> None:
    both = Found("kube-system", ("a:1", "b:1"), "DaemonSet kube-system/net")
    assert gathered(both, exempt="kube-system").exempt == {"kube-system": 2}


@pytest.mark.parametrize(
    "match",
    [
        Match(users=(Glob("ci"),)),
        Match(annotations=(("team", "a"),)),
        Match(labels=(("pci", "true"),)),
    ],
    ids=["users", "annotations", "labels"],
)
def test_rules_about_who_makes_pods_and_what_he_wrote_hold(match: Match) -> None:
    rules = Rules(rules=(Rule("never", Mode.DENY, match=match),))
    wrote = msgspec.structs.replace(pod("a:1"), annotations={"team": "a"}, labels={"pci": "true"})
    (stopped,) = gathered(wrote, user="ci", rules=rules).all
    (free,) = gathered(pod("a:1"), user="ada", rules=rules).all
    assert [isinstance(each, Ruled) for each in stopped.cases] == [True]
    assert [isinstance(each, Case) for each in free.cases] == [True]


def test_a_few_findings_are_told_and_the_others_counted() -> None:
    stops = tuple(
        Finding("packages", "blacklist", str(at), Action.STOP, "x" * 1_000) for at in range(5)
    )
    verdict = Verdict(
        Subject("registry.corp/app", "sha256:" + "a" * 64, "1"),
        Question(),
        Verdicts.FAIL,
        evaluated_at=0,
        findings=(Finding("vulnerabilities", "package", "w", Action.WARN, "warned"), *stops),
    )
    (wanted,) = gathered(pod("registry.corp/app:1")).all
    (case,) = wanted.cases
    assert isinstance(case, Case)
    judgement = Judgement("registry.corp/app:1", State.FAIL, verdicts=(verdict,))
    part = judged_part(case, judgement, wanted.scope, terms=Terms(), now=0)
    assert [len(each) for each in part.findings] == [MAX_TEXT] * MAX_FINDINGS
    assert part.more_findings == 5 - MAX_FINDINGS


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.PASS, Outcome.PASS),
        (State.TURNED, Outcome.PASS),
        (State.PENDING, Outcome.UNFINISHED),
        (State.ERROR, Outcome.ERROR),
        (State.REGISTRY_AWAY, Outcome.ERROR),
        (State.FAIL, Outcome.FAIL),
        (State.UNPINNED, Outcome.FAIL),
    ],
)
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.WARN])
def test_what_a_review_would_find_is_an_outcome(state: State, outcome: Outcome, mode: Mode) -> None:
    rules = Rules(default=Rule(mode=mode))
    (wanted,) = gathered(pod("registry.corp/app:1"), rules=rules).all
    (case,) = wanted.cases
    assert isinstance(case, Case)
    judgement = Judgement("registry.corp/app:1", state)
    part = judged_part(case, judgement, wanted.scope, terms=Terms(), now=0)
    assert (part.outcome, part.state) == (outcome, state)
    assert part.allowed == (outcome is Outcome.PASS or mode is Mode.WARN)


def test_what_rules_refuse_unseen_needs_no_verdict() -> None:
    rules = Rules(default=Rule("never", Mode.DENY))
    (wanted,) = gathered(pod("a:1"), rules=rules).all
    (ruled,) = wanted.cases
    assert isinstance(ruled, Ruled)
    part = ruled_part(ruled, now=0)
    assert (part.asked, part.outcome, part.allowed) == (False, Outcome.FAIL, False)
    assert [row(part).asked, row(part, PASS).asked] == [False, True]
