"""What people are told of the workloads they know: once, and not of what was made up."""

import json
import logging
from typing import Any

import msgspec
import pytest

from services.webhook.owner_events import AGAIN, MAX_WAITING, SLOW, OwnerEvents, Told
from shared.domain.decision import Decision, State
from shared.domain.errors import ClusterMisconfigured, ClusterRefused, ClusterUnreachable
from shared.domain.owner import Owner
from shared.domain.review import decode_review
from shared.domain.verdict import Outcome as Verdicts
from shared.ports.nudging import Reason
from tests.fakes.kubernetes_owners import reference_to
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import PERSON, pod
from tests.unit.webhook.owners.rig import DIGEST, IMAGE, PENDING, RS, WEB, Rig, request

TURNED = Decision(
    True,
    State.TURNED,
    reason=f"image {IMAGE}: allowed until 2026-01-01 only, then refused by policy baseline",
    images=(IMAGE,),
)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_of_a_scan_that_is_soon_over_nobody_is_told_but_that_it_passed(rig: Rig) -> None:
    rig.denied()
    await rig.look()
    rig.clock.advance(4_000)
    await rig.judge()
    await rig.look()
    assert list(rig.cluster.made) == [(WEB, Reason.PASSED, IMAGE)]
    assert rig.cluster.told(Reason.PASSED) == [
        f"image {IMAGE}: may run now, and the controller was asked to try again"
    ]
    assert rig.cluster.looks == [], "the nudge told whom a person knows"


async def test_a_scan_lasts_from_ten_seconds_on(rig: Rig) -> None:
    rig.denied()
    rig.clock.advance(9_999)
    await rig.look()
    assert rig.cluster.made == {}
    rig.denied()
    rig.heard(None)
    await rig.look(after=0.001)
    assert rig.cluster.told_of(WEB) == {Reason.PENDING}


async def test_of_a_scan_that_lasts_the_workload_that_a_person_knows_is_told(rig: Rig) -> None:
    rig.denied()
    await rig.look()
    await rig.look(after=SLOW + 6)
    assert list(rig.cluster.made) == [(WEB, Reason.PENDING, IMAGE)]
    assert rig.cluster.told(Reason.PENDING) == [
        "image app: not judged yet, since 3 s (at 2025-06-15 15:06 UTC). Once it has passed, pods "
        "are made at once"
    ]
    assert rig.cluster.nudges == []


async def test_how_long_a_scan_takes_so_far_is_said_with_the_time_of_the_denial_that_said_so(
    rig: Rig,
) -> None:
    """The same Event is counted for as long as it is so, and keeps its note."""
    rig.denied()
    await rig.look(after=600)
    rig.denied()
    await rig.look(after=900)
    (note,) = rig.cluster.told(Reason.PENDING)
    assert "since 3 s (at 2025-06-15 15:06 UTC)" in note


async def test_a_scan_that_fails_is_told_at_once_and_not_at_the_controllers_next_try(
    rig: Rig,
) -> None:
    rig.denied()
    await rig.look()
    await rig.judge(outcome=Verdicts.FAIL)
    await rig.look()
    (note,) = rig.cluster.told(Reason.REFUSED)
    assert note.startswith(f"image {IMAGE}: refused by policy baseline: no")
    assert note.endswith(". Until that changes no pod is made")


async def test_of_what_was_denied_for_a_fail_the_controllers_own_event_tells(rig: Rig) -> None:
    failed = Decision(False, State.FAIL, code=403, reason="image app: refused by policy")
    await rig.judge(outcome=Verdicts.FAIL)
    rig.denied(decision=failed)
    await rig.look(after=60)
    await rig.look(after=60)
    assert rig.cluster.made == {}


async def test_the_same_is_told_again_after_a_while_and_counted_in_one_event(rig: Rig) -> None:
    for _ in range(130):
        rig.denied()
        await rig.look(after=15)
    assert {key: times for key, (_, times) in rig.cluster.made.items()} == {
        (WEB, Reason.PENDING, IMAGE): 4
    }
    assert rig.events == {(Reason.PENDING, Told.MADE): 1, (Reason.PENDING, Told.COUNTED): 3}


async def test_of_two_webhooks_one_makes_the_event(rig: Rig) -> None:
    other = Rig(beside=rig)
    for each in (rig, other):
        each.denied()
    for each in (rig, other):
        await each.look(after=SLOW)
    assert len(rig.cluster.made) == 1
    assert rig.events + other.events == {
        (Reason.PENDING, Told.MADE): 1,
        (Reason.PENDING, Told.THERE): 1,
    }


async def test_an_event_that_the_cluster_forgot_is_made_anew(rig: Rig) -> None:
    for _ in range(2):
        rig.denied()
        await rig.look(after=AGAIN)
        await rig.look(after=AGAIN)
        rig.cluster.made.clear()
    rig.denied()
    await rig.look(after=AGAIN)
    assert [times for _, times in rig.cluster.made.values()] == [1]


async def test_nothing_is_told_of_an_owner_that_was_made_up(rig: Rig) -> None:
    forged = msgspec.structs.replace(RS, uid="forged")
    rig.cluster.gone.add(forged)
    rig.denied(owner=forged)
    await rig.look()
    await rig.look(after=SLOW + 6)
    rig.owners.answered(request(IMAGE, owner=forged), TURNED)
    await rig.telling.tell_all()
    assert rig.cluster.made == {}
    assert rig.events == {(Reason.PENDING, Told.GONE): 1, (Reason.TURNED, Told.GONE): 1}


async def test_a_flood_is_told_only_so_fast(rig: Rig) -> None:
    for number in range(100):
        owner = Owner("v1", "ReplicationController", f"t{number % 5}", f"rc-{number}", f"{number}")
        rig.denied(owner=owner)
    await rig.look()
    await rig.look(after=SLOW + 6)
    assert len(rig.cluster.made) == 25
    assert rig.events == {(Reason.PENDING, Told.MADE): 25, (Reason.PENDING, Told.DROPPED): 75}
    for number in range(100):
        owner = msgspec.structs.replace(RS, uid=f"uid-{number}")
        rig.owners.answered(request(IMAGE, owner=owner), TURNED)
    rig.clock.advance(2_000)
    await rig.telling.tell_all()
    assert rig.events[Reason.TURNED, Told.MADE] + rig.events[Reason.TURNED, Told.COUNTED] == 10


async def test_more_than_wait_are_dropped_and_counted(rig: Rig) -> None:
    for number in range(MAX_WAITING + 10):
        owner = msgspec.structs.replace(RS, uid=f"uid-{number}")
        rig.owners.answered(request(IMAGE, owner=owner), TURNED)
    assert rig.events == {(Reason.TURNED, Told.DROPPED): 10}


async def test_of_a_pod_that_runs_on_though_its_image_failed_its_workload_is_told_once_an_hour(
    rig: Rig,
) -> None:
    for _ in range(7):
        rig.owners.answered(request(IMAGE), TURNED)
        await rig.telling.tell_all()
        rig.clock.advance(600_000)
    assert rig.cluster.told(Reason.TURNED) == [TURNED.reason]
    assert [times for _, times in rig.cluster.made.values()] == [2]


@pytest.mark.parametrize("changes", [{"dry_run": True}, {"operation": "UPDATE"}, {"owner": None}])
async def test_of_what_makes_no_pod_nobody_is_told(rig: Rig, changes: dict[str, Any]) -> None:
    rig.owners.answered(request(IMAGE, **changes), TURNED)
    await rig.telling.tell_all()
    assert rig.events == {}


async def test_who_wants_no_events_makes_no_call_for_any(rig: Rig) -> None:
    quiet = OwnerEvents(sink=None, nudging=rig.cluster, clock=rig.clock)
    quiet.turned(request(IMAGE, user=PERSON), TURNED)
    await quiet.tell_all()
    assert rig.cluster.looks == []


async def test_an_api_server_that_takes_none_is_said_once_and_left_alone(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.cluster.failure = ClusterMisconfigured("403: bind the ClusterRole imagegate-nudge")
    for number in range(10):
        owner = msgspec.structs.replace(RS, uid=f"uid-{number}")
        rig.owners.answered(request(IMAGE, owner=owner), TURNED)
    await rig.telling.tell_all()
    assert rig.events == {(Reason.TURNED, Told.FAILED): 1, (Reason.TURNED, Told.DROPPED): 9}
    assert len(rig.cluster.looks) == 1
    (said,) = caplog.records
    assert (said.levelno, said.message) == (logging.ERROR, "no Events are told of owners of pods")


async def test_after_an_outage_events_are_told_again_and_that_is_said(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.cluster.failure = ClusterUnreachable("it does not answer")
    rig.owners.answered(request(IMAGE), TURNED)
    await rig.telling.tell_all()
    rig.cluster.failure = None
    rig.clock.advance(6_000)
    rig.owners.answered(request("registry.test/team/other:1"), TURNED)
    other = msgspec.structs.replace(TURNED, images=("registry.test/team/other:1",))
    rig.owners.answered(request("registry.test/team/other:1"), other)
    await rig.telling.tell_all()
    assert rig.cluster.told_of(WEB) == {Reason.TURNED}
    assert [line.message for line in caplog.records] == [
        "no Events are told of owners of pods",
        "no longer so: no Events are told of owners of pods",
    ]


async def test_a_namespace_that_takes_no_events_keeps_nobody_elsewhere_uninformed(rig: Rig) -> None:
    """A policy of its own, say."""
    rig.cluster.failures["theirs"] = ClusterRefused("422: no-events denied request")
    theirs = msgspec.structs.replace(RS, namespace="theirs", uid="theirs")
    for uid in ("1", "2"):
        owner = msgspec.structs.replace(theirs, uid=uid)
        rig.owners.answered(request(IMAGE, owner=owner), TURNED)
    rig.owners.answered(request(IMAGE), TURNED)
    await rig.telling.tell_all()
    assert rig.cluster.told_of(WEB) == {Reason.TURNED}
    assert rig.events == {
        (Reason.TURNED, Told.FAILED): 1,
        (Reason.TURNED, Told.DROPPED): 1,
        (Reason.TURNED, Told.MADE): 1,
    }


async def test_of_a_workload_that_was_let_in_no_pods_owner_is_told(rig: Rig) -> None:
    content = workload(DEPLOYMENT, pod(IMAGE)["spec"])
    content["metadata"]["ownerReferences"] = [reference_to(RS)]
    review = review_of_workload(DEPLOYMENT, content)
    rig.owners.answered(decode_review(json.dumps(review).encode()), TURNED)
    await rig.telling.tell_all()
    assert rig.events == {}


FINAL = (State.FAIL, State.ERROR, State.REFUSED, State.INVALID)


@pytest.mark.parametrize("state", [each for each in State if each not in (*FINAL, State.PENDING)])
async def test_of_what_may_pass_by_itself_or_is_no_denial_nobody_is_told(
    rig: Rig, state: State
) -> None:
    rig.denied()
    (entry,) = rig.blocked.due()
    rig.clock.advance(20_000)
    rig.telling.still_denied(entry, Decision(False, state, reason="why"))
    entry.state = state
    rig.telling.still_denied(entry, PENDING)
    await rig.telling.tell_all()
    assert rig.cluster.made == {}


@pytest.mark.parametrize("state", FINAL)
async def test_whatever_is_final_is_told_of_one_that_was_denied_for_something_else(
    rig: Rig, state: State
) -> None:
    rig.denied()
    (entry,) = rig.blocked.due()
    for before in (*FINAL, State.PENDING):
        entry.state = before
        rig.telling.still_denied(entry, Decision(False, state, reason="why"))
        await rig.telling.tell_all()
        told = ["why. Until that changes no pod is made"] if before is State.PENDING else []
        assert rig.cluster.told(Reason.REFUSED) == told


async def test_each_thing_that_happens_to_one_workload_is_told(rig: Rig) -> None:
    rig.denied()
    await rig.look(after=SLOW)
    await rig.judge(outcome=Verdicts.FAIL)
    await rig.look(after=1)
    await rig.judge()
    await rig.look(after=1)
    assert rig.cluster.told_of(WEB) == {Reason.PENDING, Reason.REFUSED, Reason.PASSED}


async def test_all_images_of_a_pod_are_named(rig: Rig) -> None:
    images = [f"registry.test/team/{name}:1@{DIGEST}" for name in ("app", "sidecar")]
    for image in images:
        await rig.judge(image)
    rig.denied(*images)
    await rig.look()
    (note,) = rig.cluster.told(Reason.PASSED)
    assert note.startswith(f"images {images[0]}, {images[1]}: may run now")


async def test_each_image_that_turned_is_told_and_counted_by_itself(rig: Rig) -> None:
    for hour in range(2):
        for number in range(3):
            image = f"registry.test/team/app-{number}:1"
            turned = msgspec.structs.replace(TURNED, images=(image,))
            rig.owners.answered(request(image), turned)
            await rig.telling.tell_all()
        assert list(rig.cluster.made) == [
            (WEB, Reason.TURNED, f"registry.test/team/app-{number}:1") for number in range(3)
        ]
        assert {times for _, times in rig.cluster.made.values()} == {hour + 1}
        rig.clock.advance(3_600_000)


async def test_a_pod_that_may_run_is_nothing_to_tell(rig: Rig) -> None:
    rig.owners.answered(request(IMAGE), Decision(True, State.PASS, images=(IMAGE,)))
    await rig.telling.tell_all()
    assert rig.events == {}


async def test_a_fault_of_ours_keeps_nobody_elsewhere_uninformed(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.cluster.failures["theirs"] = RuntimeError("a bug")
    for namespace in ("theirs", "team"):
        owner = msgspec.structs.replace(RS, namespace=namespace, uid=namespace)
        rig.owners.answered(request(IMAGE, owner=owner), TURNED)
    await rig.telling.tell_all()
    assert rig.events == {(Reason.TURNED, Told.FAILED): 1, (Reason.TURNED, Told.MADE): 1}
    assert "a bug" in caplog.text
