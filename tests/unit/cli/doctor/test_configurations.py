from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from services.cli.doctor.admission import Configuration
from services.cli.doctor.conditions import AN_IMAGE_CHANGED
from services.cli.doctor.configurations import mutating_remarks, validating_remarks
from services.cli.doctor.remarks import Level, Remark
from tests.unit.cli.doctor.hooks import configuration, hook, judging, selector, service

EXAMPLE = Path(__file__).parents[4] / "k8s/examples/enforce-webhooks.yaml"


def told(*hooks: dict[str, Any], namespaces: Any = None) -> list[Remark]:
    """What is said of a validating configuration of these."""
    return list(
        validating_remarks([configuration("imagegate", *hooks)], namespaces=namespaces or {})
    )


def choosing(operator: str, *values: str, key: str = "kubernetes.io/metadata.name") -> Any:
    """A webhook's namespaceSelector of one requirement beside the usual one."""
    one = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    return {"namespaceSelector": {"matchExpressions": [one, *USUAL["matchExpressions"]]}}


USUAL = selector("kube-system", "imagegate")


def of(level: Level, remarks: list[Remark]) -> str:
    """What was said of that level, in one text."""
    return "\n".join(each.said for each in remarks if each.level is level)


def test_what_is_installed_whole_is_good() -> None:
    remarks = told(*judging())

    assert {each.level for each in remarks} == {Level.GOOD, Level.NOTE}
    assert "exempt, nothing there is judged: imagegate, kube-system" in of(Level.NOTE, remarks)


def test_without_a_configuration_nothing_is_judged() -> None:
    (remark,) = validating_remarks([configuration("others", hook("x.corp", ("CREATE", "pods")))])

    assert remark.level is Level.BAD
    assert "nothing is judged" in remark.said


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ([hook("create.imagegate.dev", ("UPDATE", "pods/ephemeralcontainers"))], "about new pods"),
        ([hook("create.imagegate.dev", ("CREATE", "pods"))], "about ephemeral containers"),
        (judging()[:1], "about pods whose image is changed"),
    ],
)
def test_what_nobody_asks_about_is_bad(left: list[dict[str, Any]], said: str) -> None:
    bad = of(Level.BAD, told(*left))
    assert f"nobody asks imagegate {said}" in bad
    # It is for no selector that nothing is judged.
    assert "namespaceSelectors leave out" not in bad


def test_a_star_for_the_resources_covers_no_subresource() -> None:
    remarks = told(hook("create.imagegate.dev", ("*", "*")))

    assert "nobody asks imagegate about ephemeral containers" in of(Level.BAD, remarks)
    assert "about new pods" in of(Level.GOOD, remarks)


def test_both_stars_cover_subresources() -> None:
    assert not of(Level.BAD, told(hook("create.imagegate.dev", ("*", "*/*"))))


def test_letting_in_what_is_not_answered_is_for_an_audit() -> None:
    remarks = told(*judging(failurePolicy="Ignore"))

    assert "new pods are let in while imagegate does not answer" in of(Level.WARN, remarks)
    assert not of(Level.BAD, remarks)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"objectSelector": {"matchLabels": {"scan": "yes"}}}, "chooses by its labels"),
        (
            {"objectSelector": {"matchExpressions": [{"key": "scan", "operator": "Exists"}]}},
            "chooses by its labels",
        ),
        ({"matchPolicy": "Exact"}, "another version of the API is not judged"),
        ({"sideEffects": "Some"}, "dry runs are refused"),
        ({"sideEffects": ""}, "says sideEffects nothing: dry runs are refused"),
        ({"matchConditions": [{"name": "x", "expression": "false"}]}, "runs unjudged"),
        ({"namespaceSelector": selector("kube-system")}, "own namespace imagegate is not exempt"),
    ],
)
def test_what_opens_or_locks_is_bad(wrong: dict[str, Any], said: str) -> None:
    assert said in of(Level.BAD, told(*judging(**wrong)))


@pytest.mark.parametrize("first", [True, False])
def test_each_webhook_is_looked_at_by_itself(first: bool) -> None:
    create, update = judging()
    wrong = {"matchPolicy": "Exact"} | service("/mutate")
    told_of = told(create | wrong, update) if first else told(create, update | wrong)

    said = of(Level.BAD, told_of)

    name = "create.imagegate.dev" if first else "update.imagegate.dev"
    assert f"{name} has matchPolicy Exact" in said
    assert f"{name} asks /mutate" in said


def test_a_label_by_which_one_of_them_chooses_is_told() -> None:
    create, update = judging()
    for chooses in (
        {"matchLabels": {"imagegate": "on"}},
        {"matchExpressions": [{"key": "imagegate", "operator": "Exists"}]},
    ):
        remarks = told(create, update | {"namespaceSelector": chooses})
        assert "the label imagegate decides" in of(Level.WARN, remarks)


def test_the_namespace_of_each_that_is_asked_must_be_exempt() -> None:
    create, update = judging()
    elsewhere = service(namespace="gate")

    said = of(Level.BAD, told(create, update | elsewhere, namespaces={"gate": {}}))

    assert "own namespace gate is not exempt" in said


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"timeoutSeconds": 11}, "gives an answer 11 s"),
        ({"timeoutSeconds": 2}, "gives an answer 2 s"),
        ({"namespaceSelector": selector("imagegate")}, "kube-system is not exempt"),
        (
            {"namespaceSelector": {"matchLabels": {"imagegate": "on"}}},
            "the label imagegate decides which namespaces are judged",
        ),
    ],
)
def test_what_somebody_should_look_at_is_a_warning(odd: dict[str, Any], said: str) -> None:
    assert said in of(Level.WARN, told(*judging(**odd)))


def test_a_namespace_is_exempt_only_where_every_webhook_leaves_it_out() -> None:
    create, update = judging()
    second = hook(
        "again.imagegate.dev", ("CREATE", "pods"), namespaceSelector=selector("imagegate")
    )

    remarks = told(create, update, second)

    assert "exempt, nothing there is judged: imagegate" in of(Level.NOTE, remarks)
    assert "kube-system is not exempt" in of(Level.WARN, remarks)


def test_two_installations_ask_twice() -> None:
    remarks = list(
        validating_remarks(
            [configuration("imagegate", *judging()), configuration("old", *judging())]
        )
    )

    assert "2 configurations name imagegate (imagegate, old)" in of(Level.WARN, remarks)


def test_what_the_chart_makes_is_good() -> None:
    documents = list(yaml.safe_load_all(EXAMPLE.read_text()))
    by_kind = {each["kind"]: [msgspec.convert(each, Configuration)] for each in documents if each}

    remarks = [
        *validating_remarks(by_kind["ValidatingWebhookConfiguration"]),
        *mutating_remarks(by_kind["MutatingWebhookConfiguration"]),
    ]

    assert {each.level for each in remarks} == {Level.GOOD, Level.NOTE}
    assert "about pods whose image is changed" in of(Level.GOOD, remarks)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"apiVersions": ["v1beta1"]},
        {"scope": "Cluster"},
        {"apiGroups": ["apps"]},
        {"resources": ["pods/status"]},
        {"operations": ["CONNECT"]},
    ],
)
def test_a_rule_that_no_pod_falls_under_asks_about_none(narrowed: dict[str, Any]) -> None:
    create, update = judging()
    create["rules"] = [{**each, **narrowed} for each in create["rules"]]

    assert "nobody asks imagegate about new pods" in of(Level.BAD, told(create, update))


@pytest.mark.parametrize(
    "left_out",
    [
        choosing("DoesNotExist"),
        choosing("In", "gone"),
        choosing("Exists", key="never-set"),
        {"namespaceSelector": {"matchLabels": {"never-set": "x"}}},
    ],
)
def test_a_selector_that_leaves_out_every_namespace_is_bad(left_out: dict[str, Any]) -> None:
    remarks = told(*judging(**left_out), namespaces={"team": {}, "shop": {"a": "b"}})

    judged = "gone" in str(left_out)
    assert ("leave out every namespace" in of(Level.BAD, remarks)) is not judged
    assert "a namespace that somebody makes is not judged" in of(Level.WARN, remarks) or not judged
    assert "shop, team" in of(Level.NOTE, remarks)
    assert ("is asked about" in of(Level.GOOD, remarks)) is judged


def test_namespaces_that_a_label_exempts_are_told() -> None:
    remarks = told(
        *judging(**choosing("NotIn", "true", key="imagegate.dev/exempt")),
        namespaces={"team": {}, "open": {"imagegate.dev/exempt": "true"}},
    )

    assert "imagegate, kube-system, open" in of(Level.NOTE, remarks)
    assert not of(Level.BAD, remarks)


def test_where_new_pods_are_judged_changed_ones_must_be_too() -> None:
    create, update = judging()
    update |= {"namespaceSelector": selector("kube-system", "imagegate", "team")}

    remarks = told(create, update, namespaces={"team": {}, "shop": {}})

    said = of(Level.BAD, remarks)
    assert "about pods whose image is changed in team, where new pods are judged" in said
    # Where nobody asks it is no matter for whom is waited.
    assert not of(Level.WARN, remarks)


def test_namespaces_in_which_nobody_waits_for_the_answer_are_named() -> None:
    create, update = judging()
    strict = create | {"namespaceSelector": {"matchLabels": {"a": "b"}}}
    lax = create | {"name": "lax.imagegate.dev", "failurePolicy": "Ignore"}

    remarks = told(strict, lax, update, namespaces={"team": {}, "shop": {"a": "b"}})

    assert "new pods are let in in team, a new namespace while" in of(Level.WARN, remarks)
    assert "asked about new pods" not in of(Level.GOOD, remarks)


@pytest.mark.parametrize(
    ("about", "level"), [("pods", Level.WARN), ("pods/ephemeralcontainers", Level.BAD)]
)
def test_a_condition_that_is_not_the_charts_is_no_good(about: str, level: Level) -> None:
    condition = {"matchConditions": [{"name": "an-image-changed", "expression": "1 == 2"}]}
    create = hook("create.imagegate.dev", ("CREATE", "pods"))
    update = hook("update.imagegate.dev", ("UPDATE", "pods"))
    later = hook("later.imagegate.dev", ("UPDATE", "pods/ephemeralcontainers"))
    wrong = update if about == "pods" else later

    remarks = told(
        create, *(each | condition if each is wrong else each for each in (update, later))
    )

    assert f"{wrong['name']} has matchConditions" in of(level, remarks)
    assert len([each for each in remarks if each.level is Level.GOOD]) == 2


KNOWN = {"name": "an-image-changed", "expression": AN_IMAGE_CHANGED}


@pytest.mark.parametrize(
    "conditions",
    [
        [KNOWN, {"name": "team", "expression": "request.userInfo.username != 'eve'"}],
        # One name and image that follow each other without a space may be another two.
        [KNOWN | {"expression": AN_IMAGE_CHANGED.replace("' '", "''")}],
    ],
)
def test_a_condition_beside_the_charts_or_almost_it_is_none_of_its(conditions: Any) -> None:
    create, update = judging()
    assert not of(Level.WARN, told(create, update | {"matchConditions": [KNOWN]}))

    warned = of(Level.WARN, told(create, update | {"matchConditions": conditions}))

    assert "update.imagegate.dev has matchConditions that are not the chart's" in warned


def test_what_is_not_said_is_what_the_api_takes_it_for() -> None:
    """admissionregistration.k8s.io/v1: Fail, Equivalent, 10 s, port 443."""
    said = ("failurePolicy", "matchPolicy", "timeoutSeconds", "objectSelector")
    bare = [{key: part for key, part in each.items() if key not in said} for each in judging()]
    for each in bare:
        called = dict(each["clientConfig"]["service"])
        del called["port"]
        each["clientConfig"] = {"service": called}

    assert told(*bare) == told(*judging())
    assert told(bare[0], judging()[1]) == told(*judging())


@pytest.mark.parametrize("path", ["/mutate", "", "/", "/imagegate/validate"])
def test_a_webhook_that_asks_for_something_else_is_bad(path: str) -> None:
    said = of(Level.BAD, told(*judging(**service(path))))

    assert f"asks {path or 'no path'} and not /validate: it lets everything in" in said


def test_a_url_may_have_something_before_the_path() -> None:
    url = {"clientConfig": {"url": "https://gate.corp/imagegate/validate"}}

    assert not of(Level.BAD, told(*judging(**url)))


def test_webhooks_that_ask_different_servers_are_bad() -> None:
    create, update = judging()

    said = of(Level.BAD, told(create, update | service(name="other")))

    assert "different servers (imagegate/imagegate-webhook:443, imagegate/other:443)" in said


PIN = hook("pin.imagegate.dev", ("CREATE", "pods"), failurePolicy="Ignore", **service("/mutate"))


def test_a_pin_that_asks_for_judgements_or_for_no_pods_pins_nothing() -> None:
    judges = configuration("zz-imagegate", PIN | service("/validate"))
    nobody = configuration("zz-imagegate", PIN | {"rules": []})

    assert "it pins nothing" in of(Level.BAD, list(mutating_remarks([judges])))
    assert "nobody asks imagegate to pin" in of(Level.BAD, list(mutating_remarks([nobody])))


def test_whoever_changes_pods_after_the_pin_is_named() -> None:
    later = configuration("zz-later", hook("side.corp", ("CREATE", "pods")))
    ours = configuration("zz-imagegate", PIN)

    (remark,) = mutating_remarks([later, ours])

    assert remark.level is Level.WARN
    assert "(zz-later)" in remark.said


def test_of_two_of_ours_what_comes_after_the_last_by_name_counts() -> None:
    ours = [configuration(name, PIN) for name in ("zz-imagegate", "aa-imagegate")]
    between = configuration("mm", hook("side.corp", ("CREATE", "pods")))

    (remark,) = mutating_remarks([*ours, between])

    assert remark.said == "zz-imagegate is the last that changes pods"


def test_the_webhook_of_somebody_else_in_our_configuration_is_theirs() -> None:
    theirs = hook("side.corp", ("CREATE", "pods"), matchPolicy="Exact", **service("/else"))

    assert not of(Level.BAD, told(*judging(), theirs))


def test_whoever_comes_before_or_changes_no_pods_is_no_trouble() -> None:
    others = [
        configuration("aa", hook("side.corp", ("CREATE", "pods"))),
        configuration("zzz", hook("side.corp", ("CREATE", "services"))),
    ]

    (remark,) = mutating_remarks([*others, configuration("zz-imagegate", PIN)])

    assert remark.level is Level.GOOD


def test_without_a_pin_pods_that_name_tags_are_refused() -> None:
    (remark,) = mutating_remarks([])

    assert remark.level is Level.BAD
    assert not list(mutating_remarks([], pinning=False))


def test_a_pin_that_stops_pods_is_a_warning() -> None:
    remarks = list(
        mutating_remarks([configuration("zz-imagegate", PIN | {"failurePolicy": "Fail"})])
    )

    assert "pins with failurePolicy Fail" in of(Level.WARN, remarks)
