"""/mutate pins what is known, changes nothing else, and never denies."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.book import CurrentBook
from services.webhook.knowledge import Knowledge
from services.webhook.mutate import Mutate, Pinned
from services.webhook.near_cache import NearCache
from services.webhook.objects import places_to_judge
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.pinning import Pinning
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from services.webhook.waiters import Room, Waiters
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.pointer import SECOND, Pointer
from shared.domain.reference import parse_reference
from shared.domain.review import decode_review, encode_review
from shared.domain.rules import Mode, PinWhat, Rule, Rules
from shared.ports.namespaces import Namespaces
from shared.ports.verdicts import Listener, Put, VerdictStore
from tests.fakes.clock import FakeClock
from tests.fakes.json_patch import apply_patch
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import KINDS, Kind, review_of_workload, workload
from tests.house import pod, review_of
from tests.unit.domain.test_workload import images_in

pytestmark = pytest.mark.virtual_time

DIGEST = "sha256:" + "d" * 64
PINNED = f"docker.io/library/nginx:1@{DIGEST}"
KNOWN = {
    "nginx:1": PINNED,
    "docker.io/library/nginx:1": PINNED,
    "index.docker.io/nginx:1": PINNED,
    "nginx": f"docker.io/library/nginx:latest@{DIGEST}",
    "ghcr.io/team/app:v2": f"ghcr.io/team/app:v2@{DIGEST}",
    "registry.corp:5000/a/b:c": f"registry.corp:5000/a/b:c@{DIGEST}",
}
"""What the registry was asked about a moment ago, as written, and as pinned."""

LEFT = (
    "nginx@" + DIGEST,
    "nginx:1@" + DIGEST,
    "NOT/A:reference",
    "",
    "auto",
    "a" * 64,
    "ghcr.io/team/unknown:1",
)


class DeadStore:
    """A `VerdictStore` with a bug."""

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        raise RuntimeError("a bug")

    async def put(
        self, sealed: bytes, *, key: str, ends: int, scan: str = "", chain: str = ""
    ) -> Put:
        raise RuntimeError("a bug")

    async def listen(self, listener: Listener) -> None:
        await asyncio.Event().wait()

    async def keys(self, prefix: str, *, limit: int) -> list[str]:
        return []

    async def ping(self) -> None:
        return None


class HungStore(DeadStore):
    """A `VerdictStore` whose promise to answer in time is broken."""

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return await asyncio.Future()


class Rig:
    """/mutate over stores in process, where nobody waits for a registry."""

    def __init__(
        self,
        *,
        rules: Rules | None = None,
        pin: PinWhat = PinWhat.PODS,
        store: VerdictStore | None = None,
        namespaces: Namespaces | None = None,
    ) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.store = MemoryVerdictStore(clock=self.clock, leases=leases)
        self.queue = MemoryQueue(clock=self.clock)
        self.sealer = PlainSealer()
        self.counted: list[Pinned] = []
        read_from: VerdictStore = store or self.store
        rules = rules or Rules()
        claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        cache = NearCache(store=read_from, unsealer=self.sealer, clock=self.clock)
        requests = Requests(claims=claims, queue=self.queue, clock=self.clock)
        waiters = Waiters()
        terms = Terms(pin=pin)
        self.mutate = Mutate(
            pinning=Pinning(
                cache=cache,
                requests=requests,
                waiters=waiters,
                clock=self.clock,
                rules=lambda: rules,
                room=Room(places=0),
            ),
            outlook=Outlook(
                knowledge=Knowledge(
                    cache=cache,
                    requests=requests,
                    waiters=waiters,
                    clock=self.clock,
                    rules=lambda: rules,
                ),
                clock=self.clock,
                terms=terms,
            ),
            occasions=Occasions(books=CurrentBook(rules), namespaces=namespaces),
            clock=self.clock,
            terms=terms,
            on_mutated=lambda mutation, seconds: self.counted.append(mutation.pinned),
        )

    @property
    def ledger(self) -> Ledger:
        """A worker's pen."""
        return Ledger(store=self.store, sealer=self.sealer, unsealer=self.sealer, clock=self.clock)

    async def know(self, *images: str, age: int = 0, previous: str | None = None) -> None:
        for image in images:
            tagged, asked_at = parse_reference(image).tagged, self.clock.now() - age
            await self.ledger.write_pointer(Pointer(tagged, asked_at, DIGEST, previous=previous))

    async def response(self, review: dict[str, Any], *, seconds: float = 30.0) -> dict[str, Any]:
        """The response half, as it stands on the wire; it always allows."""
        request = decode_review(wire(review))
        now = self.clock.monotonic()
        answer = await self.mutate.answer(request, began=now, deadline=now + seconds)
        response: dict[str, Any] = json.loads(encode_review(answer))["response"]
        assert response["allowed"] is True
        assert response["uid"] == review["request"]["uid"]
        assert "status" not in response
        return response

    async def pinned(self, review: dict[str, Any]) -> dict[str, Any]:
        """The object after the patch."""
        return apply_patch(await self.response(review), review["request"]["object"])

    async def asked(self) -> int:
        await asyncio.sleep(0)
        return sum(lane.ready for lane in (await self.queue.depths()).lanes)


async def knowing(**options: Any) -> Rig:
    rig = Rig(**options)
    await rig.know(*KNOWN)
    return rig


IMAGES = st.sampled_from([*KNOWN, *LEFT])
POLICIES = st.sampled_from(["Always", "IfNotPresent", "Never"])
EXTRAS = st.dictionaries(
    st.sampled_from(["env", "args", "é~1/", "reference"]), st.lists(st.text(max_size=3)), max_size=2
)


def _container(name: str, image: str, policy: str | None, extra: dict[str, Any]) -> dict[str, Any]:
    container = {"name": name, "image": image, **extra}
    return container if policy is None else {**container, "imagePullPolicy": policy}


CONTAINERS = st.lists(
    st.builds(_container, st.text(max_size=4), IMAGES, st.none() | POLICIES, EXTRAS), max_size=4
)
VOLUMES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": st.text(max_size=3), "emptyDir": st.just({})}),
        st.fixed_dictionaries(
            {
                "name": st.text(max_size=3),
                "image": st.fixed_dictionaries({"reference": IMAGES, "pullPolicy": POLICIES}),
            }
        ),
    ),
    max_size=4,
)
SPECS = st.fixed_dictionaries(
    {"containers": CONTAINERS},
    optional={
        "initContainers": CONTAINERS,
        "ephemeralContainers": CONTAINERS,
        "volumes": VOLUMES,
        "nodeSelector": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    },
)


def wire(review: dict[str, Any]) -> bytes:
    """As an API server sends it: text as it is, without needless escapes."""
    return json.dumps(review, ensure_ascii=False).encode()


def pod_of(spec: dict[str, Any]) -> dict[str, Any]:
    return {**pod(), "spec": spec}


def expected(content: Any, known: Mapping[str, str] = KNOWN) -> Any:
    """The same with every image of `known` pinned, found by another way."""
    if isinstance(content, list):
        return [expected(item, known) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        key: known.get(value, value)
        if key in ("image", "reference") and isinstance(value, str)
        else expected(value, known)
        for key, value in content.items()
    }


@given(SPECS)
async def test_the_patched_pod_is_the_pod_with_nothing_changed_but_known_tags(
    spec: dict[str, Any],
) -> None:
    rig = await knowing()
    content = pod_of(spec)
    assert await rig.pinned(review_of(content)) == expected(content)


@given(SPECS)
async def test_a_second_pass_changes_nothing(spec: dict[str, Any]) -> None:
    rig = await knowing()
    once = await rig.pinned(review_of(pod_of(spec)))
    again = await rig.response(review_of(once))
    assert "patch" not in again
    await rig.know(*KNOWN)
    assert "patch" not in await rig.response(review_of(once, operation="UPDATE", old=once))


@given(SPECS)
async def test_validate_then_judges_the_digests_that_were_pinned(spec: dict[str, Any]) -> None:
    rig = await knowing()
    once = await rig.pinned(review_of(pod_of(spec)))
    places = places_to_judge(decode_review(wire(review_of(once))))
    for written, place in zip(images_in(pod_of(spec)), images_in(once), strict=True):
        if written in KNOWN:
            assert parse_reference(place) == parse_reference(KNOWN[written])
    assert sorted(place.image for place in places) == sorted(images_in(once))


@given(SPECS, SPECS)
async def test_an_update_pins_only_what_it_changes(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    rig = await knowing()
    review = review_of(pod_of(new), operation="UPDATE", old=pod_of(old))
    changed = {place.pointer for place in places_to_judge(decode_review(wire(review)))}
    response = await rig.response(review)
    patched = apply_patch(response, pod_of(new))
    everything = expected(pod_of(new))
    places = places_to_judge(decode_review(wire(review_of(pod_of(new)))))
    for place in places:
        *way, last = place.pointer[1:].split("/")
        was, now, all_pinned = (_at(it, way)[last] for it in (pod_of(new), patched, everything))
        assert now == (all_pinned if place.pointer in changed else was)


def _at(content: Any, way: list[str]) -> Any:
    for step in way:
        content = content[int(step)] if isinstance(content, list) else content[step]
    return content


@pytest.mark.parametrize(
    ("images", "pinned"),
    [
        (["nginx:1", "ghcr.io/team/app:v2"], Pinned.PINNED),
        (["nginx:1", "nginx@" + DIGEST], Pinned.PINNED),
        (["nginx:1", "ghcr.io/team/unknown:1"], Pinned.PARTLY),
        (["ghcr.io/team/unknown:1"], Pinned.LEFT),
        (["nginx@" + DIGEST, "NOT/A:reference", "auto"], Pinned.NOTHING),
        ([], Pinned.NOTHING),
    ],
)
async def test_each_call_is_counted_by_what_became_of_its_tags(
    images: list[str], pinned: Pinned
) -> None:
    rig = await knowing()
    await rig.response(review_of(pod(*images)))
    assert rig.counted == [pinned]


async def test_an_ephemeral_container_is_pinned_where_it_stands() -> None:
    rig = await knowing()
    debug = {"name": "debug", "image": "nginx:1"}
    before = pod(
        "ghcr.io/team/app:v2", more={"ephemeralContainers": [{"name": "d0", "image": "x"}]}
    )
    after = pod(
        "ghcr.io/team/app:v2",
        more={"ephemeralContainers": [{"name": "d0", "image": "x"}, debug]},
    )
    review = review_of(after, operation="UPDATE", old=before, sub_resource="ephemeralcontainers")
    patched = await rig.pinned(review)
    debug["image"] = PINNED
    assert patched == after


@pytest.mark.parametrize(
    "rules",
    [
        *(Rules(default=Rule(mode=mode)) for mode in Mode if mode is not Mode.ENFORCE),
        Rules(allow_registries=("quay.io",)),
    ],
)
async def test_only_what_the_rules_enforce_and_let_us_ask_about_is_pinned_or_asked_for(
    rules: Rules,
) -> None:
    rig = await knowing(rules=rules)
    response = await rig.response(review_of(pod("nginx:1", "ghcr.io/team/unknown:1")))
    assert "patch" not in response
    assert await rig.asked() == 0
    assert rig.counted == [Pinned.NOTHING]


async def test_where_nothing_is_to_be_pinned_nobody_is_asked() -> None:
    rig = await knowing(pin=PinWhat.NONE)
    assert "patch" not in await rig.response(review_of(pod("nginx:1", "ghcr.io/team/unknown:1")))
    assert await rig.asked() == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_workloads_are_not_pinned(kind: Kind) -> None:
    rig = await knowing()
    content = workload(kind, pod("nginx:1")["spec"])
    assert "patch" not in await rig.response(review_of_workload(kind, content))
    assert rig.counted == [Pinned.NOTHING]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": {"group": "", "version": "v1", "kind": "Dragon"}},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
        {"operation": "CONNECT"},
        {"operation": "DELETE", "object": None},
        {"object": None},
        {"object": {"spec": {"containers": "many"}}},
        {"object": {"spec": {"containers": [{"image": "nginx:1"}] * 513}}},
    ],
)
async def test_what_validate_denies_is_left_as_it_is(change: dict[str, Any]) -> None:
    rig = await knowing()
    review = review_of(pod("nginx:1"))
    review["request"] |= change
    assert "patch" not in await rig.response(review)
    assert rig.counted == [Pinned.NOTHING]


async def test_an_old_pointer_that_cannot_be_renewed_pins_with_a_warning() -> None:
    rig = Rig()
    await rig.know("nginx:1", age=90 * SECOND)
    response = await rig.response(review_of(pod("nginx:1", policy="Always")))
    assert apply_patch(response, pod("nginx:1")) == pod(PINNED)
    assert response["warnings"] == [
        "image docker.io/library/nginx:1: the registry cannot be asked what the tag names now: "
        "pinned to what it named 90 s ago"
    ]


async def test_its_warnings_leave_room_for_those_of_validate() -> None:
    rig = Rig()
    names = [f"registry.corp/team/app{number}:1" for number in range(9)]
    await rig.know(*names, age=90 * SECOND)
    warnings = (await rig.response(review_of(pod(*names, policy="Always"))))["warnings"]
    assert len(warnings) == 4
    assert warnings[-1] == "and 6 more warnings, for which there is no room"


async def test_one_tag_of_a_pod_gets_one_digest_by_the_strictest_of_its_pull_policies() -> None:
    rig = Rig()
    await rig.know("nginx:1", age=30 * SECOND)
    content = pod("nginx:1", "docker.io/library/nginx:1")
    content["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    response = await rig.response(review_of(content))
    assert images_in(apply_patch(response, content)) == [PINNED, PINNED]
    assert len(response["warnings"]) == 1
    assert await rig.asked() == 1


@pytest.mark.parametrize("store", [DeadStore(), HungStore()])
async def test_a_failure_of_ours_allows_without_a_patch_and_is_counted(
    store: VerdictStore, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(store=store)
    async with asyncio.timeout(5):
        response = await rig.response(review_of(pod("nginx:1")), seconds=0.1)
    assert "patch" not in response
    assert rig.counted == [Pinned.ERROR]
    assert "nothing is pinned" in caplog.text


async def test_a_pod_of_many_images_is_pinned_whole() -> None:
    rig = Rig()
    images = [f"ghcr.io/team/app:{number}" for number in range(512)]
    await rig.know(*images)
    patched = await rig.pinned(review_of(pod(*images)))
    assert images_in(patched) == [f"{image}@{DIGEST}" for image in images]
