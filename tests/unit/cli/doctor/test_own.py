"""Clusters that share a Redis: whose webhooks are counted."""

from typing import Any

import msgspec
import pytest

from services.cli.doctor.own import others_remarks, own_processes, told_clusters
from services.cli.doctor.pods import PodForm
from services.cli.doctor.remarks import Level
from shared.ports.presence import Alive, Beat

ELSEWHERE = {"name": "IMAGEGATE_CLUSTER", "valueFrom": {"configMapKeyRef": {"key": "a"}}}


def heard(service: str, cluster: str = "", *, number: int = 0) -> Alive:
    return Alive(Beat(f"{service}@{cluster}:{number}:a", service, "1", 0, cluster=cluster), 0)


def pod(*env: Any, **told: Any) -> PodForm:
    rules = {"name": "IMAGEGATE_RULES", "value": "/rules.yaml"}
    return msgspec.convert({"spec": {"containers": [{"env": [rules, *env]}]}} | told, PodForm)


def called(name: str) -> Any:
    return {"name": "IMAGEGATE_CLUSTER", "value": name}


ALIVE = [heard("webhook", "a"), heard("webhook", "b"), heard("webhook"), heard("worker")]


@pytest.mark.parametrize(
    ("clusters", "ours"),
    [
        (None, ALIVE),
        (frozenset({"a"}), [ALIVE[0], ALIVE[3]]),
        (frozenset({""}), ALIVE[2:]),
        # In the middle of a roll-out that gives it a name.
        (frozenset({"", "a"}), [ALIVE[0], *ALIVE[2:]]),
        (frozenset({"c"}), [ALIVE[3]]),
    ],
)
def test_webhooks_of_others_are_left_out_and_workers_are_everybodys(
    clusters: frozenset[str] | None, ours: list[Alive]
) -> None:
    assert own_processes(ALIVE, clusters) == ours


@pytest.mark.parametrize(
    ("pods", "clusters"),
    [
        ([pod(called("a")), pod(called("a"))], {"a"}),
        ([pod(called("a")), pod()], {"a", ""}),
        ([pod()], {""}),
        ([pod(called("a")), pod(ELSEWHERE)], None),
        ([pod(called("a")), pod(called("b"), status={"phase": "Failed"})], {"a"}),
        ([pod(called("a")), msgspec.convert({}, PodForm)], None),
        ([], None),
    ],
)
def test_pods_tell_their_clusters_name_or_it_is_not_known(
    pods: list[PodForm], clusters: set[str] | None
) -> None:
    assert told_clusters(pods) == clusters


def test_others_are_told_and_who_they_are() -> None:
    (told,) = others_remarks([*ALIVE, heard("webhook", "b", number=1)], frozenset({"a"}))
    assert told.level is Level.NOTE
    assert told.said.startswith("3 webhooks of other clusters were heard, too ((has no name), b)")
    assert told.said.endswith("this one is a")
    assert not list(others_remarks(ALIVE[:1], frozenset({"a"})))


def test_where_it_is_not_known_which_are_ours_that_is_said() -> None:
    (told,) = others_remarks(ALIVE[:2], None)
    assert told.level is Level.UNASKED
    assert told.said.startswith("webhooks of several clusters were heard (a, b), and which of")
    assert "IMAGEGATE_CLUSTER" in told.todo
    assert not list(others_remarks([ALIVE[0], ALIVE[3]], None))
