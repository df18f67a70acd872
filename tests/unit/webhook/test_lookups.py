"""Where answers come from, and what was known of an image when it was first seen."""

from collections import Counter

import pytest

from services.webhook.catalogue import Image
from services.webhook.lookups import First, Layer, Lookups
from services.webhook.metrics import WebhookMetrics
from shared.domain.decision import Judgement, State
from shared.domain.reference import parse_reference
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.domain.why import Why
from shared.runtime.metrics import Metrics


class Rig:
    def __init__(self, *, max_seen: int = 100) -> None:
        self.layers: Counter[Layer] = Counter()
        self.firsts: list[First] = []
        self.lookups = Lookups(on_layer=self._count, on_first=self.firsts.append, max_seen=max_seen)

    def _count(self, layer: Layer, images: int) -> None:
        self.layers[layer] += images


def image(written: str = "app:1", question: Question | None = None) -> Image:
    return Image(written, parse_reference(written), True, question or Question())


def judgement(*whys: Why) -> Judgement:
    subject = Subject("docker.io/library/app", "sha256:" + "a" * 64, "1")
    verdicts = [Verdict(subject, Question(), Outcome.PASS, 1, why=why) for why in whys]
    return Judgement("app:1", State.PASS, verdicts=tuple(verdicts))


@pytest.mark.parametrize(
    ("whys", "first"),
    [
        ([Why.PREWARM], First.PREWARMED),
        ([Why.ADMISSION, Why.PREWARM], First.PREWARMED),
        ([Why.ADMISSION], First.KNOWN),
        ([Why.REFRESH], First.KNOWN),
        ([Why.OPERATOR], First.KNOWN),
        ([], First.KNOWN),
    ],
)
def test_an_image_is_prewarmed_when_a_push_event_had_it_judged(
    whys: list[Why], first: First
) -> None:
    rig = Rig()
    rig.lookups.known(image(), judgement(*whys), Layer.STORE)
    assert rig.firsts == [first]


def test_only_the_first_look_at_an_image_tells_anything_of_prewarming() -> None:
    rig = Rig()
    rig.lookups.asked(image())
    for _ in range(3):
        rig.lookups.known(image(), judgement(Why.PREWARM), Layer.NEAR_CACHE)
    rig.lookups.known(image("docker.io/library/app:1"), judgement(Why.PREWARM), Layer.STORE)
    assert rig.firsts == [First.ASKED]
    assert rig.layers == {Layer.QUEUE: 1, Layer.NEAR_CACHE: 3, Layer.STORE: 1}


def test_another_tag_digest_or_question_is_another_image() -> None:
    rig = Rig()
    for each in (
        image("app:1"),
        image("app:2"),
        image("app@sha256:" + "a" * 64),
        image("app:1", Question(policy="strict")),
    ):
        rig.lookups.asked(each)
    assert rig.firsts == [First.ASKED] * 4


A, B = ("sha256:" + letter * 64 for letter in "ab")


@pytest.mark.parametrize(
    ("written", "firsts"),
    [
        (["app:1", f"app:1@{A}", f"app:1@{A}", "app:1"], 1),
        ([f"app:1@{A}", "app:1"], 1),
        (["app:1", f"app:1@{A}", f"app:1@{B}", "app:1", f"app:1@{A}"], 2),
        ([f"app:1@{A}", f"app:2@{A}", f"app@{A}"], 3),
        (["app:1", "app:2", f"app:1@{A}", f"app:2@{B}"], 2),
    ],
)
def test_a_tag_and_the_digest_it_is_pinned_to_are_one_image_and_a_moved_tag_is_another(
    written: list[str], firsts: int
) -> None:
    rig = Rig()
    for each in written:
        rig.lookups.asked(image(each))
    assert len(rig.firsts) == firsts


def test_what_could_not_be_looked_up_is_still_to_be_seen_for_the_first_time() -> None:
    rig = Rig()
    rig.lookups.untold(Layer.STORE)
    assert (rig.layers, rig.firsts) == ({Layer.STORE: 1}, [])
    rig.lookups.known(image(), judgement(Why.PREWARM), Layer.STORE)
    assert rig.firsts == [First.PREWARMED]


def test_memory_of_what_was_seen_is_bounded_and_the_oldest_is_forgotten() -> None:
    rig = Rig(max_seen=3)
    for number in (1, 2, 3, 4, 3, 2, 1):
        rig.lookups.asked(image(f"app:{number}"))
    assert len(rig.firsts) == 5


def test_the_ratio_is_of_new_images_that_a_push_event_could_have_spared_and_absent_before() -> None:
    registry = Metrics()
    counted = WebhookMetrics(registry)
    lookups = Lookups(on_layer=counted.looked_up, on_first=counted.first_seen)
    assert "\nimagegate_prewarm_hit_ratio" not in registry.render().decode()
    lookups.known(image("app:0"), judgement(Why.ADMISSION), Layer.STORE)
    assert "\nimagegate_prewarm_hit_ratio" not in registry.render().decode()
    lookups.asked(image("app:1"))
    for number in (2, 3, 4):
        lookups.known(image(f"app:{number}"), judgement(Why.PREWARM), Layer.STORE)
    lookups.kept(5)
    text = registry.render().decode()
    assert "\nimagegate_prewarm_hit_ratio 0.75\n" in text
    assert '\nimagegate_first_lookups_total{result="prewarmed"} 3.0\n' in text
    assert '\nimagegate_first_lookups_total{result="known"} 1.0\n' in text
    assert '\nimagegate_first_lookups_total{result="asked"} 1.0\n' in text
    assert '\nimagegate_image_lookups_total{layer="near_cache"} 5.0\n' in text
    assert '\nimagegate_image_lookups_total{layer="store"} 4.0\n' in text
    assert '\nimagegate_image_lookups_total{layer="queue"} 1.0\n' in text
