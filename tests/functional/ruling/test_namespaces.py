"""Rules by the labels of namespaces (docs/design/behaviour.md 4)."""

from pathlib import Path

import msgspec
import pytest

from shared.adapters.memory.namespaces import MemoryNamespaces
from shared.domain.rules import Mode, Rules
from tests.functional.ruling.asking import (
    ALLOWED,
    DENIED,
    ENFORCE,
    SOME,
    ask,
    images,
    rule_of,
    under,
    warnings,
)
from tests.house import house, memory_backends

LABELLED = Rules(
    default=ALLOWED,
    rules=(
        under(DENIED, name="here", images=images("registry.test/denied")),
        under(DENIED, name="prod", namespace_labels=(("tier", "prod"),)),
    ),
)


async def test_labels_of_a_namespace_decide_once_they_are_known(tmp_path: Path) -> None:
    namespaces = MemoryNamespaces({"shop": {"tier": "prod"}, "lab": {"tier": "test"}})
    backends = msgspec.structs.replace(memory_backends(), namespaces=namespaces)
    async with house(tmp_path, backends=backends, rules=LABELLED, worker=False) as home:
        assert rule_of(await ask(home, SOME, namespace="shop")) == "prod"
        assert rule_of(await ask(home, SOME, namespace="lab")) == "default"


@pytest.mark.parametrize("namespaces", [None, MemoryNamespaces()])
async def test_labels_that_are_not_known_are_never_taken_for_no_match(
    tmp_path: Path, namespaces: MemoryNamespaces | None
) -> None:
    backends = msgspec.structs.replace(memory_backends(), namespaces=namespaces)
    async with house(tmp_path, backends=backends, rules=LABELLED, worker=False) as home:
        answer = await ask(home, SOME)
        assert (answer.code, answer.response["status"]["reason"]) == (503, "ServiceUnavailable")
        assert answer.response["auditAnnotations"]["decision"] == "undecided"
        assert answer.message.startswith(
            f"image {SOME}: which rule is about it depends on labels of its namespace"
        )
        dry = await ask(home, SOME, dry_run=True)
        assert (dry.allowed, warnings(dry)[0][:15]) == (True, "not judged yet:")
        assert rule_of(await ask(home, "registry.test/denied")) == "here"


async def test_labels_that_are_not_known_deny_nothing_where_every_rule_only_warns(
    tmp_path: Path,
) -> None:
    warned = msgspec.structs.replace(ENFORCE, name="warned", mode=Mode.WARN)
    rules = Rules(
        default=msgspec.structs.replace(ENFORCE, name="audited", mode=Mode.AUDIT),
        rules=(under(warned, namespace_labels=(("tier", "prod"),)),),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        answer = await ask(home, SOME)
        assert (answer.allowed, rule_of(answer)) == (True, "warned")
        assert "depends on labels of its namespace" in warnings(answer)[0]
