"""Of which decisions a second webhook is asked."""

import msgspec
import pytest

from services.cli.beside.comparing import asked_once
from shared.ports.decisions import DecisionRecord


def record(**more: object) -> DecisionRecord:
    told = {
        "at": 5,
        "allowed": True,
        "state": "pass",
        "code": 200,
        "kind": "Pod",
        "namespace": "shop",
        "name": "web",
        "user": "ada",
        "operation": "CREATE",
        "images": ("nginx",),
    }
    return msgspec.convert(told | more, DecisionRecord)


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT", ""])
def test_what_creates_or_changes_nothing_is_not_asked_again(operation: str) -> None:
    assert asked_once([record(operation=operation)]) == []


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_creates_or_changes_is_asked_again(operation: str) -> None:
    assert asked_once([record(operation=operation)]) == [record(operation=operation)]


def test_a_deletion_that_is_newer_hides_no_creation() -> None:
    created = record(at=4)
    assert asked_once([record(operation="DELETE"), created]) == [created]


def test_of_the_same_in_the_same_place_the_newest_is_asked_about() -> None:
    newest = record(state="fail")
    others = [record(kind="Job"), record(namespace="till"), record(images=("redis",))]
    assert asked_once([newest, record(at=4), *others]) == [newest, *others]


def test_what_is_just_as_old_as_is_asked_for_counts() -> None:
    assert asked_once([record(at=5), record(at=4, kind="Job")], since=5) == [record(at=5)]


def test_what_has_no_image_is_not_asked_again() -> None:
    assert asked_once([record(images=())]) == []
