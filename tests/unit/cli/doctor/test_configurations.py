from typing import Any

import pytest

from services.cli.doctor.configurations import mutating_remarks, validating_remarks
from services.cli.doctor.remarks import Level, Remark
from tests.unit.cli.doctor.hooks import configuration, hook, judging, selector


def told(*hooks: dict[str, Any]) -> list[Remark]:
    """What is said of a validating configuration of these."""
    return list(validating_remarks([configuration("imagegate", *hooks)]))


def of(level: Level, remarks: list[Remark]) -> str:
    """What was said of that level, in one text."""
    return "\n".join(each.said for each in remarks if each.level is level)


def test_what_is_installed_whole_is_good() -> None:
    remarks = told(*judging())

    assert {each.level for each in remarks} == {Level.GOOD, Level.NOTE}
    assert "exempt by name: imagegate, kube-system" in of(Level.NOTE, remarks)


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
    assert f"nobody asks imagegate {said}" in of(Level.BAD, told(*left))


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
        ({"matchPolicy": "Exact"}, "another version of the API is not judged"),
        ({"sideEffects": "Some"}, "dry runs are refused"),
        ({"matchConditions": [{"name": "x", "expression": "false"}]}, "runs unjudged"),
        ({"namespaceSelector": selector("kube-system")}, "own namespace imagegate is not exempt"),
    ],
)
def test_what_opens_or_locks_is_bad(wrong: dict[str, Any], said: str) -> None:
    assert said in of(Level.BAD, told(*judging(**wrong)))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"timeoutSeconds": 30}, "gives an answer 30 s"),
        ({"timeoutSeconds": 1}, "gives an answer 1 s"),
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

    assert "exempt by name: imagegate" in of(Level.NOTE, remarks)
    assert "kube-system is not exempt" in of(Level.WARN, remarks)


def test_two_installations_ask_twice() -> None:
    remarks = list(
        validating_remarks(
            [configuration("imagegate", *judging()), configuration("old", *judging())]
        )
    )

    assert "2 configurations name imagegate (imagegate, old)" in of(Level.WARN, remarks)


PIN = hook("pin.imagegate.dev", ("CREATE", "pods"), failurePolicy="Ignore")


def test_whoever_changes_pods_after_the_pin_is_named() -> None:
    later = configuration("zz-later", hook("side.corp", ("CREATE", "pods")))
    ours = configuration("zz-imagegate", PIN)

    (remark,) = mutating_remarks([later, ours])

    assert remark.level is Level.WARN
    assert "(zz-later)" in remark.said


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
