"""Webhooks and workers that are told something else of their cluster."""

from typing import Any

import msgspec
import pytest

from services.cli.doctor.alike import alike_remarks
from services.cli.doctor.pods import PodForm
from services.cli.doctor.remarks import Level

MORE = {"name": "IMAGEGATE_RULES", "value": "/etc/imagegate/rules/rules.yaml"}


def pod(*env: Any, metadata: Any = None, status: Any = None, **own: Any) -> PodForm:
    """One with a container of ours behind one that somebody put in."""
    containers = [{"name": "proxy", "envFrom": [{}]}, {"env": [MORE, *env], **own}]
    told = {"metadata": metadata or {}, "status": status or {}, "spec": {"containers": containers}}
    return msgspec.convert(told, PodForm)


def cluster(value: str) -> Any:
    return {"name": "IMAGEGATE_CLUSTER", "value": value}


def inventory(value: str) -> Any:
    return {"name": "IMAGEGATE_INVENTORY", "value": value}


ELSEWHERE = {"name": "IMAGEGATE_CLUSTER", "valueFrom": {"configMapKeyRef": {"key": "a"}}}


@pytest.mark.parametrize(
    ("webhook", "worker"),
    [
        (pod(), pod()),
        (pod(cluster("north"), inventory("on")), pod(inventory("on"), cluster("north"))),
        # What is not set is as if it were set to its default.
        (pod(cluster("")), pod()),
        (pod(inventory("auto")), pod()),
        # Of what is set twice the last counts.
        (pod(cluster("old"), cluster("north")), pod(cluster("north"))),
        # What stands elsewhere is not known here.
        (pod(ELSEWHERE), pod(cluster("north"))),
        (pod(envFrom=[{"configMapRef": {"name": "a"}}]), pod(cluster("north"))),
        (msgspec.convert({}, PodForm), pod(cluster("north"))),
    ],
)
def test_of_pods_that_are_told_the_same_nothing_is_said(webhook: PodForm, worker: PodForm) -> None:
    assert list(alike_remarks([webhook], [worker])) == []


def test_another_name_of_the_cluster_is_told_with_both() -> None:
    (remark,) = alike_remarks([pod(cluster("north")), pod(cluster("north"))], [pod()])

    assert remark.level is Level.WARN
    assert remark.said.startswith(
        "IMAGEGATE_CLUSTER of webhooks is north, of workers it is not set: "
    )
    assert "`cluster`" in remark.todo


def test_an_inventory_of_one_alone_is_told_with_both() -> None:
    (remark,) = alike_remarks([pod(inventory("off"))], [pod()])

    assert remark.level is Level.WARN
    assert remark.said.startswith("IMAGEGATE_INVENTORY of webhooks is off, of workers auto: ")
    assert "`inventory.enabled`" in remark.todo


def test_one_of_many_is_enough() -> None:
    (remark,) = alike_remarks([pod(inventory("on")), pod(inventory("off"))], [pod(inventory("on"))])

    assert remark.said.startswith("IMAGEGATE_INVENTORY of webhooks is off and on, of workers on: ")


def test_what_is_set_beside_what_stands_elsewhere_is_known() -> None:
    webhook = pod(cluster("north"), envFrom=[{"configMapRef": {"name": "a"}}])

    assert len(list(alike_remarks([webhook], [pod()]))) == 1


@pytest.mark.parametrize(
    "gone",
    [
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"status": {"phase": "Failed"}},
        {"status": {"phase": "Succeeded"}},
    ],
)
def test_a_pod_that_is_gone_or_goes_does_not_count(gone: Any) -> None:
    old = pod(cluster("old"), **gone)

    assert list(alike_remarks([old, pod()], [old, pod()])) == []


def test_of_webhooks_without_workers_nothing_can_be_said() -> None:
    assert list(alike_remarks([pod(cluster("north"))], [])) == []
