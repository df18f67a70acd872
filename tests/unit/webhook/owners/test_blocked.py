"""Who is remembered of denied pods, and for how long; strangers cannot fill the memory."""

import json
import tracemalloc
from typing import Any

import pytest

from services.webhook.blocked import BlockedOwners
from shared.domain.decision import Decision, State
from shared.domain.owner import Owner
from shared.domain.review import decode_review
from shared.domain.workload import Pod
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes_owners import reference_to
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import PERSON, pod, review_of
from tests.unit.webhook.owners.rig import DIGEST, IMAGE, PENDING, RS, UID, request

DOWN = Decision(False, State.STORE_DOWN, code=503, reason="Redis does not answer")
REPOSITORY = "registry.test/team/app"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def blocked(clock: FakeClock) -> BlockedOwners:
    return BlockedOwners(clock=clock)


def another(number: int, namespace: str = "team") -> Owner:
    return Owner("apps/v1", "ReplicaSet", namespace, f"rs-{number}", f"uid-{number}")


def test_the_owner_of_a_denied_pod_is_to_be_looked_at_at_once(blocked: BlockedOwners) -> None:
    assert blocked.denied(request(IMAGE), PENDING)
    (entry,) = blocked.due()
    assert (entry.owner, entry.images, entry.state) == (RS, (IMAGE,), State.PENDING)
    assert blocked.due() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "UPDATE"},
        {"dry_run": True},
        {"user": PERSON},
        {"owner": None},
        {"owner": Owner("apps/v1", "Deployment", "team", "web", UID)},
    ],
)
def test_what_no_controller_makes_again_is_not_remembered(
    blocked: BlockedOwners, changes: dict[str, Any]
) -> None:
    assert not blocked.denied(request(IMAGE, **changes), PENDING)
    assert len(blocked) == 0


def test_a_workload_is_not_remembered_nor_what_cannot_be_read(blocked: BlockedOwners) -> None:
    review = review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod(IMAGE)["spec"]))
    assert not blocked.denied(decode_review(json.dumps(review).encode()), PENDING)
    broken = review_of({**pod(IMAGE), "spec": "no"}, user="system:serviceaccount:a:b")
    assert not blocked.denied(decode_review(json.dumps(broken).encode()), PENDING)
    assert len(blocked) == 0


def test_a_burst_of_denials_is_one_entry_and_nothing_new_to_look_at(
    blocked: BlockedOwners, clock: FakeClock
) -> None:
    assert blocked.denied(request(IMAGE), PENDING)
    blocked.due()
    for _ in range(9):
        clock.advance(100)
        assert not blocked.denied(request(IMAGE), PENDING)
    assert len(blocked) == 1
    assert blocked.due() == []


def test_nothing_of_the_review_is_kept_but_what_chooses_rules(blocked: BlockedOwners) -> None:
    content = pod(IMAGE, more={"padding": "x" * 1_000_000})
    content["metadata"] |= {"labels": {"a": "b"}, "ownerReferences": [reference_to(RS)]}
    review = review_of(content, user="system:serviceaccount:kube-system:x")
    blocked.denied(decode_review(json.dumps(review).encode()), PENDING)
    (entry,) = blocked
    assert entry.size < 4_096
    kept = entry.request
    assert (kept.namespace, kept.user_info.username) == (
        "team",
        "system:serviceaccount:kube-system:x",
    )
    assert isinstance(kept.object, Pod)
    assert bytes(kept.object.metadata.labels) == b'{"a": "b"}'
    assert kept.object.spec.containers is None


@pytest.mark.parametrize(
    "key",
    [
        f"verdict:{REPOSITORY}@{DIGEST}#1|anchore",
        f"error:{REPOSITORY}@#1|anchore",
        f"pointer:{REPOSITORY}:1",
        None,
    ],
)
def test_word_of_one_of_its_images_has_it_looked_at(
    blocked: BlockedOwners, key: str | None
) -> None:
    blocked.denied(request("other.test/b:1", IMAGE), PENDING)
    blocked.due()
    assert blocked.changed(key)
    assert len(blocked.due()) == 1


@pytest.mark.parametrize(
    "key", [f"verdict:{REPOSITORY}x@{DIGEST}#|a", f"index:{DIGEST}", "exception:a", "pointer", ""]
)
def test_word_of_anything_else_does_not(blocked: BlockedOwners, key: str) -> None:
    blocked.denied(request(IMAGE), PENDING)
    blocked.due()
    assert not blocked.changed(key)
    assert blocked.due() == []


def test_what_nobody_announces_is_looked_at_now_and_then(
    blocked: BlockedOwners, clock: FakeClock
) -> None:
    blocked.denied(request(IMAGE), PENDING)
    looks = 0
    for _ in range(60):
        looks += len(blocked.due())
        clock.advance(1_000)
    assert looks == 4


def test_who_was_nudged_is_looked_at_again_only_when_it_is_denied_again(
    blocked: BlockedOwners, clock: FakeClock
) -> None:
    blocked.denied(request(IMAGE), PENDING)
    (entry,) = blocked.due()
    blocked.nudged(RS, at=clock.monotonic())
    clock.advance(100_000)
    assert not blocked.changed(None)
    assert blocked.due() == []
    assert blocked.denied(request(IMAGE), PENDING)
    assert blocked.due() == [entry]
    assert entry.since == clock.monotonic()


def test_only_a_gap_tells_that_the_store_was_away(blocked: BlockedOwners) -> None:
    blocked.denied(request(IMAGE), DOWN)
    (entry,) = blocked
    blocked.changed(f"pointer:{REPOSITORY}:1")
    assert not entry.store_was_away
    blocked.changed(None)
    assert entry.store_was_away


def test_who_is_not_denied_for_longer_than_any_back_off_is_forgotten(
    blocked: BlockedOwners, clock: FakeClock
) -> None:
    blocked.denied(request(IMAGE), PENDING)
    clock.advance(1_000_000)
    blocked.denied(request(IMAGE), PENDING)
    clock.advance(1_200_000 - 1)
    assert len(blocked.due()) == 1
    clock.advance(1)
    assert blocked.due() == []
    assert len(blocked) == 0
    assert not blocked.changed(f"pointer:{REPOSITORY}:1")


def test_other_images_of_an_owner_stand_beside_the_first(blocked: BlockedOwners) -> None:
    blocked.denied(request(IMAGE), PENDING)
    blocked.denied(request("registry.test/forged:1"), PENDING)
    assert [entry.images for entry in blocked] == [(IMAGE,), ("registry.test/forged:1",)]


def test_there_is_room_for_so_many_and_the_oldest_go(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock, max_owners=10)
    for number in range(15):
        blocked.denied(request(IMAGE, owner=another(number)), PENDING)
    assert [entry.owner.name for entry in blocked] == [f"rs-{number}" for number in range(5, 15)]
    assert blocked.changed(f"pointer:{REPOSITORY}:1")


def test_a_namespace_takes_no_more_than_its_share(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock, max_of_a_namespace=5)
    blocked.denied(request(IMAGE, owner=another(0, "quiet")), PENDING)
    for number in range(100):
        blocked.denied(request(IMAGE, owner=another(number, "loud")), PENDING)
    assert [entry.owner.namespace for entry in blocked] == ["quiet", *["loud"] * 5]


def test_there_is_room_for_so_many_bytes(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock, max_bytes=20_000)
    for number in range(20):
        asked = request(IMAGE, owner=another(number), labels={"a": "x" * 3_000})
        blocked.denied(asked, PENDING)
    assert len(blocked) == 3
    assert sum(entry.size for entry in blocked) <= 20_000


def test_one_larger_than_any_real_one_is_not_remembered(blocked: BlockedOwners) -> None:
    assert not blocked.denied(request(IMAGE, labels={"a": "x" * 70_000}), PENDING)
    assert not blocked.denied(request(IMAGE, user="system:" + "x" * 70_000), PENDING)
    assert len(blocked) == 0


def test_no_one_of_them_takes_more_than_64_kibibytes(blocked: BlockedOwners) -> None:
    for number in range(60, 66):
        for more in range(10):
            labels = {"a": "x" * (1_000 * number + 100 * more)}
            blocked.denied(
                request(IMAGE, owner=another(10 * number + more), labels=labels), PENDING
            )
    sizes = [entry.size for entry in blocked]
    assert 65_000 < max(sizes) <= 65_536


def test_a_pod_of_more_images_than_any_real_one_is_not_remembered(blocked: BlockedOwners) -> None:
    images = [f"registry.test/team/app:{number}" for number in range(33)]
    assert not blocked.denied(request(*images), PENDING)
    assert blocked.denied(request(*images[1:]), PENDING)


def test_who_is_too_many_for_one_look_stays_due_and_news_go_first(
    blocked: BlockedOwners, clock: FakeClock
) -> None:
    for number in range(5):
        blocked.denied(request(f"registry.test/app-{number}:1", owner=another(number)), PENDING)
        clock.advance(1)
    blocked.changed("pointer:registry.test/app-3:1")
    room = iter([True, True, False])

    looked = [entry.owner for entry in blocked.due(affords=lambda images: next(room))]

    assert looked == [another(3), another(0)]
    assert [entry.owner for entry in blocked.due()] == [another(1), another(2), another(4)]
    assert blocked.due() == []


def test_a_forgotten_one_leaves_nothing_behind(blocked: BlockedOwners) -> None:
    blocked.denied(request(IMAGE), PENDING)
    blocked.forget(RS)
    blocked.forget(RS)
    assert len(blocked) == 0
    assert not blocked.changed(f"pointer:{REPOSITORY}:1")


def test_what_chooses_rules_is_what_the_last_review_said(blocked: BlockedOwners) -> None:
    """Of a StatefulSet whose template got other labels and kept its images."""
    blocked.denied(request(IMAGE, labels={"tier": "prod"}), PENDING)
    assert not blocked.denied(request(IMAGE, labels={"tier": "test"}), PENDING)
    blocked.denied(request(IMAGE, labels={"tier": "test"}, user="system:kcm"), DOWN)
    (entry,) = blocked
    assert isinstance(entry.request.object, Pod)
    assert bytes(entry.request.object.metadata.labels) == b'{"tier": "test"}'
    assert (entry.request.user_info.username, entry.state) == ("system:kcm", State.STORE_DOWN)


def test_one_that_grew_larger_than_any_real_one_is_forgotten(blocked: BlockedOwners) -> None:
    blocked.denied(request(IMAGE), PENDING)
    assert not blocked.denied(request(IMAGE, labels={"a": "x" * 70_000}), PENDING)
    assert len(blocked) == 0


def test_ones_that_grow_make_room_as_new_ones_do(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock, max_bytes=30_000)
    for number in range(5):
        blocked.denied(request(IMAGE, owner=another(number)), PENDING)
    for number in range(5):
        asked = request(IMAGE, owner=another(number), labels={"a": "x" * 10_000})
        blocked.denied(asked, PENDING)
    assert [entry.owner for entry in blocked] == [another(3), another(4)]


def test_who_was_denied_again_last_is_forgotten_last(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock, max_owners=2)
    for number in (0, 1, 0, 2):
        blocked.denied(request(IMAGE, owner=another(number)), PENDING)
    assert {entry.owner for entry in blocked} == {another(0), another(2)}
    blocked = BlockedOwners(clock=clock, max_of_a_namespace=2)
    for number in (0, 1, 0, 2):
        blocked.denied(request(IMAGE, owner=another(number)), PENDING)
    assert {entry.owner for entry in blocked} == {another(0), another(2)}


def test_a_workload_that_says_it_belongs_to_one_that_makes_pods_is_none_of_its_pods(
    blocked: BlockedOwners,
) -> None:
    content = workload(DEPLOYMENT, pod(IMAGE)["spec"])
    content["metadata"]["ownerReferences"] = [reference_to(RS)]
    review = review_of_workload(DEPLOYMENT, content)
    review["request"]["userInfo"] = {"username": "system:serviceaccount:a:b"}
    assert not blocked.denied(decode_review(json.dumps(review).encode()), PENDING)
    assert len(blocked) == 0


def test_what_is_counted_is_no_less_than_what_is_taken(clock: FakeClock) -> None:
    blocked = BlockedOwners(clock=clock)
    asked = [
        request(*(f"registry.test/{number}/{at}:1" for at in range(32)), owner=another(number))
        for number in range(100)
    ]
    tracemalloc.start()
    for each in asked:
        blocked.denied(each, PENDING)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1.25 * sum(entry.size for entry in blocked)


def test_by_default_there_is_room_for_as_many_as_the_documentation_says(
    blocked: BlockedOwners,
) -> None:
    for number in range(2_300):
        blocked.denied(request(IMAGE, owner=another(number, f"n{number % 11}")), PENDING)
    assert len(blocked) == 2_000
    for number in range(300):
        blocked.denied(request(IMAGE, owner=another(number, "loud")), PENDING)
    assert sum(entry.owner.namespace == "loud" for entry in blocked) == 200


def test_by_default_there_is_room_for_sixteen_mebibytes_in_all_and_a_part_of_it_for_each(
    blocked: BlockedOwners,
) -> None:
    """Of the largest ones that are taken."""
    for number in range(400):
        asked = request(IMAGE, owner=another(number, f"n{number % 9}"), labels={"a": "x" * 60_000})
        blocked.denied(asked, PENDING)
    size = sum(entry.size for entry in blocked)
    assert 16 * 2**20 - 64 * 2**10 < size <= 16 * 2**20


def test_who_was_never_denied_for_the_stores_sake_has_nothing_to_ask_when_it_is_back(
    blocked: BlockedOwners,
) -> None:
    for decision in (PENDING, DOWN):
        owner = another(decision.code)
        blocked.denied(request(IMAGE, owner=owner), decision)
    assert not any(entry.store_was_away for entry in blocked)
    blocked.changed(None)
    assert [entry.state for entry in blocked if entry.store_was_away] == [State.STORE_DOWN]
