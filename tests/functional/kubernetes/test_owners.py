"""Owners of pods on an API server: nudged, looked at, and told of in Events."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.events import KubernetesEvents
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.nudges import ADVICE, ANNOTATION, KubernetesNudging
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import ClusterMisconfigured, ClusterRefused, ClusterUnreachable, OwnerGone
from shared.domain.owner import RESOURCES, Owner
from shared.ports.nudging import OwnerEvent, Reason
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import Fault, answers, hang, sends
from tests.fakes.kubernetes_owners import FakeOwners, reference_to
from tests.functional.kubernetes.conftest import HURRIED, QUICK

UID = "edb4837b-9034-4610-a974-439d7156cbd2"
WEB = Owner("apps/v1", "Deployment", "team", "web", "ac5ee09b-a6b2-4f05-b746-6998744d85e8")
RS = Owner("apps/v1", "ReplicaSet", "team", "web-6c6b5b786d", UID)


class Subject(NamedTuple):
    nudging: KubernetesNudging
    events: KubernetesEvents


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def cluster() -> AsyncIterator[FakeOwners]:
    async with FakeOwners() as fake:
        yield fake


@pytest.fixture
async def subject(cluster: FakeOwners, token: Path, clock: FakeClock) -> AsyncIterator[Subject]:
    async with opened(cluster, token, clock) as subject:
        yield subject


@asynccontextmanager
async def opened(
    cluster: FakeOwners, token: Path, clock: FakeClock, *, pace: Pace = QUICK
) -> AsyncIterator[Subject]:
    async with Wire(server=ApiServer(cluster.url, token), pace=pace, advice=ADVICE) as wire:
        yield Subject(
            KubernetesNudging(wire=wire, clock=clock),
            KubernetesEvents(wire=wire, clock=clock, instance="webhook-1"),
        )


def owner_of(api_version: str, kind: str) -> Owner:
    return Owner(api_version, kind, "team", "x", UID)


def event(
    owner: Owner = WEB, *, reason: Reason = Reason.PASSED, about: str = "app:1"
) -> OwnerEvent:
    return OwnerEvent(owner, reason, f"image {about}: may run now", about)


@pytest.mark.parametrize(("api_version", "kind"), RESOURCES)
async def test_each_kind_that_makes_pods_gets_one_annotation_and_nothing_else(
    cluster: FakeOwners, subject: Subject, api_version: str, kind: str
) -> None:
    owner = owner_of(api_version, kind)
    cluster.put(owner)
    assert await subject.nudging.nudge(owner) == owner
    assert cluster.nudges == [owner]
    assert cluster.annotations[owner] == {
        "deployment.kubernetes.io/revision": "1",
        ANNOTATION: "2025-06-15T15:06:40.000+00:00",
    }


async def test_each_nudge_is_another_value_since_what_changes_nothing_wakes_nobody(
    cluster: FakeOwners, subject: Subject, clock: FakeClock
) -> None:
    cluster.put(RS)
    values = set()
    for _ in range(3):
        await subject.nudging.nudge(RS)
        values.add(cluster.annotations[RS][ANNOTATION])
        clock.advance(5_000)
    assert len(values) == 3


async def test_whom_a_person_knows_it_by_is_its_own_controller(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.put(RS, above=WEB)
    assert await subject.nudging.known_as(RS) == WEB
    assert await subject.nudging.nudge(RS) == WEB


async def test_who_owns_it_and_is_not_its_controller_is_nobody_to_tell(
    cluster: FakeOwners, subject: Subject
) -> None:
    """An operator that only wants it to go with its own object."""
    beside = reference_to(WEB, controller=False)
    cluster.fault = sends(json.dumps({"metadata": {"ownerReferences": [beside]}}).encode())
    assert await subject.nudging.known_as(RS) == RS


async def test_who_looks_touches_nothing(cluster: FakeOwners, subject: Subject) -> None:
    cluster.put(RS)
    assert await subject.nudging.known_as(RS) == RS
    assert (cluster.looks, cluster.nudges) == ([RS], [])
    assert ANNOTATION not in cluster.annotations[RS]


async def test_one_that_is_gone_or_was_made_up_is_gone(subject: Subject) -> None:
    for call in (subject.nudging.nudge, subject.nudging.known_as):
        with pytest.raises(OwnerGone, match="there is no ReplicaSet team/web-6c6b5b786d any more"):
            await call(RS)


async def test_another_one_of_its_name_is_not_touched(
    cluster: FakeOwners, subject: Subject
) -> None:
    there = Owner(RS.api_version, RS.kind, RS.namespace, RS.name, "another-uid")
    cluster.put(there)
    for call in (subject.nudging.nudge, subject.nudging.known_as):
        with pytest.raises(OwnerGone, match="there is another ReplicaSet"):
            await call(RS)
    assert (cluster.nudges, cluster.looks) == ([], [])


async def test_a_name_that_is_a_path_leads_nowhere_else(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.put(RS)
    for name in ("../replicasets/web-6c6b5b786d", "web-6c6b5b786d/status?x=", "web%2f", "é"):
        with pytest.raises((ClusterUnreachable, OwnerGone)):
            await subject.nudging.nudge(Owner(RS.api_version, RS.kind, "team", name, UID))
    assert cluster.nudges == []


async def test_a_missing_right_is_said_with_what_to_bind(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.put(RS)
    cluster.allowed.clear()
    said = "answered 403 to 'nudge one of replicasets'.*bind the ClusterRole imagegate-nudge"
    with pytest.raises(ClusterMisconfigured, match=said):
        await subject.nudging.nudge(RS)
    with pytest.raises(ClusterMisconfigured, match="bind the ClusterRole imagegate-nudge"):
        await subject.events.tell(event(), times=1)


async def test_a_policy_of_the_cluster_that_refuses_the_patch_is_not_taken_for_another_owner(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.put(RS)
    cluster.fault = answers(422, "ValidatingAdmissionPolicy 'no-touch' denied request")
    with pytest.raises(ClusterMisconfigured, match=r"no-touch.*have that let us pass"):
        await subject.nudging.nudge(RS)


@pytest.mark.parametrize("fault", [answers(500), answers(429), hang, sends(b"[]"), sends(b"{")])
async def test_an_api_server_that_fails_is_unreachable(
    cluster: FakeOwners, token: Path, clock: FakeClock, fault: Fault
) -> None:
    cluster.put(RS)
    cluster.fault = fault
    pace = HURRIED if fault is hang else QUICK
    async with opened(cluster, token, clock, pace=pace) as subject:
        with pytest.raises(ClusterUnreachable) as raised:
            await subject.nudging.nudge(RS)
    assert not isinstance(raised.value, ClusterMisconfigured)


async def test_an_event_says_of_whom_it_is_who_tells_and_why(
    cluster: FakeOwners, subject: Subject
) -> None:
    assert await subject.events.tell(event(), times=1)
    ((name, made),) = cluster.events.items()
    assert name.startswith("web.")
    assert made["regarding"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": "team",
        "name": "web",
        "uid": WEB.uid,
    }
    assert (made["type"], made["reason"]) == ("Normal", "ImagePassed")
    assert made["note"] == "image app:1: may run now"
    assert made["reportingController"] == "imagegate.dev/webhook"
    assert made["reportingInstance"] == "webhook-1"
    assert made["eventTime"] == "2025-06-15T15:06:40.000000Z"


async def test_what_somebody_has_to_mend_is_a_warning(
    cluster: FakeOwners, subject: Subject
) -> None:
    for reason in Reason:
        await subject.events.tell(event(reason=reason), times=1)
    types = {made["reason"]: made["type"] for made in cluster.events.values()}
    assert types == {
        "ImagePending": "Normal",
        "ImagePassed": "Normal",
        "ImageRefused": "Warning",
        "ImageTurned": "Warning",
    }


async def test_of_the_same_there_is_one_event_whoever_tells_it(
    cluster: FakeOwners, subject: Subject
) -> None:
    assert await subject.events.tell(event(), times=1)
    assert not await subject.events.tell(event(), times=1)
    assert len(cluster.events) == 1


async def test_another_reason_other_images_and_another_owner_are_other_events(
    cluster: FakeOwners, subject: Subject
) -> None:
    for other in (event(), event(reason=Reason.REFUSED), event(about="app:2"), event(RS)):
        assert await subject.events.tell(other, times=1)
    assert len(cluster.events) == 4


async def test_what_happens_again_is_counted_in_the_event_that_is_there(
    cluster: FakeOwners, subject: Subject, clock: FakeClock
) -> None:
    await subject.events.tell(event(), times=1)
    clock.advance(60_000)
    assert await subject.events.tell(event(), times=2)
    (made,) = cluster.events.values()
    assert made["series"] == {"count": 2, "lastObservedTime": "2025-06-15T15:07:40.000000Z"}


async def test_an_event_that_the_cluster_forgot_is_not_counted(
    cluster: FakeOwners, subject: Subject
) -> None:
    await subject.events.tell(event(), times=1)
    cluster.events.clear()
    assert not await subject.events.tell(event(), times=2)


async def test_a_note_is_cut_to_what_kubernetes_keeps(
    cluster: FakeOwners, subject: Subject
) -> None:
    long = OwnerEvent(WEB, Reason.REFUSED, "é" * 5_000, "app:1")
    assert await subject.events.tell(long, times=1)
    (made,) = cluster.events.values()
    assert made["note"] == "é" * 500


async def test_the_longest_name_still_has_a_valid_event(
    cluster: FakeOwners, subject: Subject
) -> None:
    for length in (199, 200, 201, 253):
        name = ("a" * 50 + "." + "-" * 2 + "b" * 300)[: length - 1] + "z"
        owner = Owner("apps/v1", "Deployment", "team", name, UID)
        assert await subject.events.tell(event(owner, about=str(length)), times=1)
    assert all(len(name) <= 253 for name in cluster.events)


async def test_a_namespace_that_is_gone_is_no_fault_of_the_api_servers(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.namespaces.clear()
    with pytest.raises(OwnerGone, match="no namespace team any more"):
        await subject.events.tell(event(), times=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "No_Name"},
        {"name": "a/b"},
        {"kind": "K" * 2_000},
        {"kind": ""},
        {"apiVersion": "x" * 2_000},
        {"apiVersion": "a/b/c"},
        {"uid": "u" * 2_000},
    ],
)
async def test_whom_it_says_it_belongs_to_and_nobody_can_be_is_nobody_to_tell(
    cluster: FakeOwners, subject: Subject, changes: dict[str, str]
) -> None:
    """An API server checks none of that: an Event of it would be refused."""
    above = reference_to(WEB) | changes
    cluster.fault = sends(json.dumps({"metadata": {"ownerReferences": [above]}}).encode())
    assert await subject.nudging.known_as(RS) == RS


async def test_a_namespace_that_is_being_deleted_is_no_missing_right(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.ending = {"team"}
    with pytest.raises(OwnerGone, match="no namespace team any more"):
        await subject.events.tell(event(), times=1)


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_an_admission_webhook_of_the_cluster_that_refuses_is_none_of_our_rights(
    cluster: FakeOwners, subject: Subject, code: int
) -> None:
    cluster.put(RS)
    cluster.fault = answers(code, 'admission webhook "x.test" denied the request: no')
    for call in (subject.nudging.nudge(RS), subject.events.tell(event(), times=1)):
        with pytest.raises(ClusterRefused, match=r"x\.test.*have that let us pass") as raised:
            await call
        assert not re.search("bind the ClusterRole", str(raised.value))


async def test_an_answer_about_one_thing_is_told_from_one_about_us(
    cluster: FakeOwners, subject: Subject
) -> None:
    cluster.put(RS)
    for code, refused in ((401, False), (403, True), (422, True), (400, False), (409, False)):
        cluster.fault = answers(code, "no")
        with pytest.raises(ClusterUnreachable) as raised:
            await subject.nudging.nudge(RS)
        assert isinstance(raised.value, ClusterRefused) is refused, code
