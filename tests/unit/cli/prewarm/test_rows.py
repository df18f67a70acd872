"""What a row tells of an image that several rules are about, or that is none."""

import msgspec

from services.cli.prewarm.found import Found
from services.cli.prewarm.rows import Outcome, Part, Row, rows_of, ruled_part
from services.cli.prewarm.wanted import Setting, Wanted, WantedImages
from services.webhook.images import Ruled
from services.webhook.terms import Terms
from shared.domain.decision import State
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import RuleBook

RULES = Rules(default=Rule("warned", Mode.WARN))
PASS = Part(Outcome.PASS, State.PASS, True, "first", "enforce")
SPARED = Part(Outcome.FAIL, State.FAIL, True, "warned", "warn", "it is bad")
STOPPED = Part(Outcome.UNFINISHED, State.PENDING, False, "second", "enforce", "not judged yet")


def gathered(*found: Found, exempt: str = "") -> WantedImages:
    setting = Setting("", lambda namespace: {}, lambda namespace: namespace == exempt)
    images = WantedImages(book=RuleBook(RULES), terms=Terms(), setting=setting, now=0)
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
