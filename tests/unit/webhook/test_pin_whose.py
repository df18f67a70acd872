"""Whose tags are pinned: by the setting, by each rule of an image, and by the kind of object
(docs/design/behaviour.md 1 and 4)."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.mutate import Pinned
from services.webhook.objects import places_to_judge
from shared.adapters.memory.namespaces import MemoryNamespaces
from shared.domain.image_pattern import ImagePattern
from shared.domain.review import decode_review
from shared.domain.rules import Match, Mode, PinWhat, PolicyChoice, Rule, Rules, Tags
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from tests.fakes.workloads import DEPLOYMENT, KINDS, Kind, review_of_workload, workload
from tests.house import pod, review_of
from tests.unit.domain.test_workload import images_in
from tests.unit.webhook.test_mutate import (
    DIGEST,
    KNOWN,
    PINNED,
    SPECS,
    Rig,
    expected,
    knowing,
    pod_of,
    wire,
)

pytestmark = pytest.mark.virtual_time

MODES = st.sampled_from(Mode)
OPERATOR = Rule(
    name="operator",
    match=Match(images=(ImagePattern("ghcr.io/team/*"),)),
    pin=PinWhat.NONE,
    tags=Tags.ALLOW,
)
POD = Kind("", "v1", "Pod", "pods", ())


def rule(name: str, mode: Mode, pin: PinWhat | None, match: Match) -> Rule:
    return Rule(name=name, mode=mode, pin=pin, policy=PolicyChoice(id=name), match=match)


@st.composite
def rule_books(draw: st.DrawFn) -> Rules:
    """A default, perhaps a rule about ghcr.io alone, perhaps one that adds to some kinds."""
    pins = st.sampled_from([None, *PinWhat])
    about = [
        (Match(images=(ImagePattern("ghcr.io/**"),)), MODES),
        (Match(kinds=("Pod", "Deployment")), st.sampled_from([Mode.ENFORCE, Mode.DENY])),
    ]
    return Rules(
        default=rule("default", draw(MODES), draw(pins), Match()),
        rules=tuple(
            rule(f"r{number}", draw(modes), draw(pins), match)
            for number, (match, modes) in enumerate(about)
            if draw(st.booleans())
        ),
    )


def pins(rules: Rules, setting: PinWhat, image: str, kind: str) -> bool:
    """Whether an image of an object of that kind is pinned, said in another way than the code."""
    own = [each for each in rules.rules if not each.match.kinds]
    adds = [each for each in rules.rules if kind in each.match.kinds]
    holding = [*(own if image.startswith("ghcr.io/") else []), rules.default][:1] + adds
    if any(each.mode is Mode.DENY for each in holding):
        return False
    wanted = {each.pin or setting for each in holding if each.mode is Mode.ENFORCE}
    return PinWhat.ALL in wanted or (kind == "Pod" and PinWhat.PODS in wanted)


def object_of(kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
    return pod_of(spec) if kind is POD else workload(kind, spec)


def review(kind: Kind, new: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return review_of_workload(kind, new, **changes)


def spec_in(kind: Kind, content: dict[str, Any]) -> dict[str, Any]:
    for step in kind.path:
        content = content[step]
    spec: dict[str, Any] = content["spec"]
    return spec


@given(SPECS, rule_books(), st.sampled_from(PinWhat), st.sampled_from([POD, *KINDS]))
async def test_of_any_object_under_any_rules_just_the_known_tags_that_some_rule_pins_are_pinned(
    spec: dict[str, Any], rules: Rules, setting: PinWhat, kind: Kind
) -> None:
    rig = await knowing(rules=rules, pin=setting)
    content = object_of(kind, spec)
    patched = await rig.pinned(review(kind, content))
    known = {
        image: pinned for image, pinned in KNOWN.items() if pins(rules, setting, image, kind.kind)
    }
    assert patched == object_of(kind, expected(spec, known))


@given(SPECS, rule_books(), st.sampled_from(PinWhat), st.sampled_from([POD, *KINDS]))
async def test_a_second_pass_changes_nothing_whatever_the_rules_and_the_kind(
    spec: dict[str, Any], rules: Rules, setting: PinWhat, kind: Kind
) -> None:
    rig = await knowing(rules=rules, pin=setting)
    once = await rig.pinned(review(kind, object_of(kind, spec)))
    assert "patch" not in await rig.response(review(kind, once))
    update = review(kind, once, operation="UPDATE", oldObject=once)
    assert "patch" not in await rig.response(update)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_an_update_of_a_workload_pins_what_it_changes(kind: Kind) -> None:
    rig = await knowing(pin=PinWhat.ALL)
    old = object_of(kind, pod("nginx:1", "ghcr.io/team/app:v1")["spec"])
    new = object_of(kind, pod("nginx:1", "ghcr.io/team/app:v2")["spec"])
    patched = await rig.pinned(review(kind, new, operation="UPDATE", oldObject=old))
    assert images_in(spec_in(kind, patched)) == ["nginx:1", f"ghcr.io/team/app:v2@{DIGEST}"]
    assert "patch" not in await rig.response(review(kind, old, operation="UPDATE", oldObject=old))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_every_place_of_a_workload_is_where_it_is_said_to_be(kind: Kind) -> None:
    spec = {
        "initContainers": [{"name": "a", "image": "a:1"}],
        "containers": [{"name": "b", "image": "b:1"}, {"name": "c", "image": "c:1"}],
        "ephemeralContainers": [{"name": "d", "image": "d:1"}],
        "volumes": [{"name": "e"}, {"name": "f", "image": {"reference": "f:1"}}],
    }
    content = object_of(kind, spec)
    for place in places_to_judge(decode_review(wire(review(kind, content)))):
        at: Any = content
        for step in place.pointer[1:].split("/"):
            at = at[int(step)] if isinstance(at, list) else at[step]
        assert at == place.image


async def test_two_containers_of_a_pod_may_be_under_different_rules() -> None:
    rig = await knowing(rules=Rules(rules=(OPERATOR,)))
    content = pod("nginx:1", "ghcr.io/team/app:v2")
    patched = await rig.pinned(review_of(content))
    assert images_in(patched) == [PINNED, "ghcr.io/team/app:v2"]
    assert rig.counted == [Pinned.PINNED]


async def test_an_image_under_several_rules_is_pinned_if_one_of_them_pins() -> None:
    pci = Rule(name="pci", match=Match(labels=(("pci", "true"),)), policy=PolicyChoice(id="pci"))
    rig = await knowing(rules=Rules(rules=(OPERATOR, pci)))
    content = pod("ghcr.io/team/app:v2")
    assert await rig.pinned(review_of(content)) == content
    content["metadata"]["labels"] = {"pci": "true"}
    patched = await rig.pinned(review_of(content))
    assert images_in(patched) == [f"ghcr.io/team/app:v2@{DIGEST}"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": {"group": "", "version": "v1", "kind": "Dragon"}},
        {"kind": {"group": "apps", "version": "v1beta1", "kind": "Deployment"}},
        {"resource": {"group": "", "version": "v1", "resource": "pods"}},
        {"subResource": "scale"},
        {"operation": "DELETE", "object": None},
        {"object": None},
        {"object": {"spec": {"template": "none"}}},
        {"object": {"spec": {}}},
    ],
)
async def test_where_all_are_pinned_an_object_that_is_not_known_is_left_as_it_is(
    change: dict[str, Any],
) -> None:
    rig = await knowing(pin=PinWhat.ALL)
    asked = review(DEPLOYMENT, workload(DEPLOYMENT, pod("nginx:1")["spec"]))
    asked["request"] |= change
    assert "patch" not in await rig.response(asked)
    assert rig.counted == [Pinned.NOTHING]


async def test_a_placeholder_of_a_workload_is_left() -> None:
    rig = await knowing(pin=PinWhat.ALL)
    content = workload(DEPLOYMENT, pod("auto", "nginx:1")["spec"])
    patched = await rig.pinned(review(DEPLOYMENT, content))
    assert images_in(spec_in(DEPLOYMENT, patched)) == ["auto", PINNED]


@pytest.mark.parametrize("labels", [["a"], "a", {"a": 1}, {"a": {}}])
async def test_labels_that_cannot_be_read_are_left_to_validate_without_a_word(
    labels: object, caplog: pytest.LogCaptureFixture
) -> None:
    pci = Rule(name="pci", match=Match(labels=(("pci", "true"),)))
    rig = await knowing(rules=Rules(rules=(pci,)))
    content = pod("nginx:1")
    content["metadata"]["labels"] = labels
    assert "patch" not in await rig.response(review_of(content))
    assert rig.counted == [Pinned.NOTHING]
    assert not caplog.text


BY_NAMESPACE = Rules(rules=(Rule(name="prod", match=Match(namespace_labels=(("a", "b"),))),))


async def test_while_it_is_not_known_which_rule_holds_a_pod_is_left() -> None:
    namespaces = MemoryNamespaces()
    namespaces.away = True
    rig = await knowing(rules=BY_NAMESPACE, namespaces=namespaces)
    assert "patch" not in await rig.response(review_of(pod("nginx:1")))
    assert rig.counted == [Pinned.NOTHING]
    namespaces.away = False
    namespaces.put("team", {"a": "b"})
    assert await rig.pinned(review_of(pod("nginx:1"))) == pod(PINNED)


class HungNamespaces(MemoryNamespaces):
    """Whose promise to answer in time is broken."""

    async def read(self, namespace: str) -> None:
        await asyncio.Future[None]()


async def test_namespaces_that_hang_hold_no_pod_longer_than_its_call_may_take() -> None:
    rig = await knowing(rules=BY_NAMESPACE, namespaces=HungNamespaces())
    async with asyncio.timeout(5):
        assert "patch" not in await rig.response(review_of(pod("nginx:1")), seconds=0.1)
    assert rig.counted == [Pinned.ERROR]


async def test_a_workload_is_pinned_to_what_its_tag_names_whatever_is_judged() -> None:
    """It would keep an older digest for good."""
    rig = Rig(pin=PinWhat.ALL)
    before = "sha256:" + "0" * 64
    await rig.know("nginx:1", previous=before)
    subject = Subject("docker.io/library/nginx", before, "1")
    verdict = Verdict(subject, Question(), Outcome.PASS, rig.clock.now())
    await rig.ledger.write_verdict(verdict, chain="")
    spec = pod("nginx:1")["spec"]
    deployed = await rig.pinned(review(DEPLOYMENT, workload(DEPLOYMENT, spec)))
    assert images_in(spec_in(DEPLOYMENT, deployed)) == [PINNED]
    started = await rig.pinned(review_of(pod_of(spec)))
    assert images_in(started) == [f"docker.io/library/nginx:1@{before}"]
