"""Which rule decides about an image, and what others add (docs/design/behaviour.md 4)."""

from pathlib import Path
from typing import Any

import pytest

from shared.domain.rules import Rules
from tests.fakes.workloads import KINDS, review_of_workload, workload
from tests.functional.ruling.asking import (
    ALLOWED,
    DENIED,
    ENFORCE,
    SOME,
    ask,
    globs,
    images,
    rule_of,
    under,
)
from tests.house import house, pod

CHOOSING = Rules(
    default=ALLOWED,
    rules=(
        under(DENIED, name="payments", namespaces=globs("payments-*", "billing")),
        under(DENIED, name="robots", users=globs("system:serviceaccount:ci:*")),
        under(ALLOWED, name="trusted", images=images("registry.test/trusted/**")),
        under(DENIED, name="registry", images=images("registry.test/**")),
        under(DENIED, name="both", namespaces=globs("lab"), users=globs("eve")),
    ),
)


@pytest.mark.parametrize(
    ("image", "asked", "rule"),
    [
        ("nginx", {}, "default"),
        ("nginx", {"namespace": "payments-eu"}, "payments"),
        ("nginx", {"namespace": "billing"}, "payments"),
        ("registry.test/trusted/a/b", {"namespace": "payments-eu"}, "payments"),
        ("nginx", {"user": "system:serviceaccount:ci:builder"}, "robots"),
        ("registry.test/trusted/a/b:1", {}, "trusted"),
        ("registry.test/other", {}, "registry"),
        (f"registry.test/other@sha256:{'a' * 64}", {}, "registry"),
        ("nginx", {"namespace": "lab", "user": "eve"}, "both"),
        ("nginx", {"namespace": "lab", "user": "ada"}, "default"),
    ],
)
async def test_the_first_rule_that_matches_decides(
    tmp_path: Path, image: str, asked: dict[str, Any], rule: str
) -> None:
    async with house(tmp_path, rules=CHOOSING, worker=False) as home:
        answer = await ask(home, image, **asked)
        assert rule_of(answer) == rule
        assert answer.code == (200 if rule in ("default", "trusted") else 403)
        if not answer.allowed:
            assert answer.message == (
                f"image {image}: rule {rule} denies it: use another image, or have the rule changed"
            )


async def test_what_an_author_writes_adds_demands_and_loosens_nothing(tmp_path: Path) -> None:
    rules = Rules(
        default=ALLOWED,
        rules=(
            under(DENIED, name="strict", namespaces=globs("strict")),
            under(DENIED, name="pci", labels=(("pci", "true"),)),
            under(DENIED, name="scanned", annotations=(("scan", "no"),), namespaces=globs("team")),
            under(ENFORCE, name="lax", labels=(("lax", "true"),)),
        ),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        assert (await ask(home, SOME)).allowed
        assert (await ask(home, SOME, labels={"pci": "false"})).allowed
        assert rule_of(await ask(home, SOME, labels={"pci": "true", "app": "x"})) == "pci"
        assert rule_of(await ask(home, SOME, annotations={"scan": "no"})) == "scanned"
        assert (await ask(home, SOME, annotations={"scan": "no"}, namespace="other")).allowed
        lax = await ask(home, SOME, namespace="strict", labels={"lax": "true"})
        assert (lax.code, rule_of(lax)) == (403, "strict")


async def test_a_kind_adds_a_demand_for_its_own_objects(tmp_path: Path) -> None:
    rules = Rules(default=ALLOWED, rules=(under(DENIED, name="jobs", kinds=("Job", "CronJob")),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        for kind in KINDS:
            content = workload(kind, pod(SOME)["spec"])
            answer = await home.ask(review_of_workload(kind, content))
            assert answer.allowed is (kind.kind not in ("Job", "CronJob")), kind
        assert (await ask(home, SOME)).allowed


async def test_labels_of_a_workload_are_those_that_its_pods_get(tmp_path: Path) -> None:
    rules = Rules(default=ALLOWED, rules=(under(DENIED, name="web", labels=(("app", "web"),)),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        for kind in KINDS:
            denied = await home.ask(review_of_workload(kind, workload(kind, pod(SOME)["spec"])))
            assert rule_of(denied) == "web"


async def test_labels_that_cannot_be_read_are_denied_where_a_rule_asks_for_them(
    tmp_path: Path,
) -> None:
    odd: list[Any] = [{"pci": 1}, ["pci"], "pci", {"pci": {"true": "x"}}]
    rules = Rules(
        default=ALLOWED,
        rules=(under(DENIED, namespaces=globs("strict"), labels=(("pci", "true"),)),),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        for labels in odd:
            answer = await ask(home, SOME, namespace="strict", labels=labels)
            assert answer.code == 403
            assert answer.message.startswith("metadata.labels cannot be read")
            assert (await ask(home, SOME, labels=labels)).allowed
