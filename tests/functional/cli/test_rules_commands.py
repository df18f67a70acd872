"""`imagegate rules`: a file is read, tried and made without any server."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.rules_file.loading import load_rules
from shared.domain.pointer import DAY
from shared.domain.rules import Mode, PinWhat, Tags
from tests.functional.cli.commands import REPOSITORY, imagegate

RULES = """
apiVersion: imagegate.dev/v1
rules:
  - name: payments
    match: {namespaces: ["payments-*"], images: ["registry.corp/**"]}
    policy: {account: payments, id: strict}
  - name: no latest
    match: {images: ["**:latest"]}
    mode: deny
  - name: gold
    match: {namespaceLabels: {tier: gold}}
    mode: warn
  - name: pci
    match: {labels: {pci: "true"}}
    policy: {id: pci}
default: {require: analysis}
exceptions:
  - image: docker.io/library/redis
    findings: ["CVE-2026-0001+openssl"]
    namespaces: [team]
    reason: no fix yet
    owner: cache
    expires: 2099-01-31T00:00:00Z
  - image: docker.io/library/old
    findings: ["CVE-2020-0001+zlib"]
    namespaces: [team]
    reason: long ago
    owner: cache
    expires: 2020-01-31T00:00:00Z
registries:
  - {host: ghcr.io, credentials: gone.json}
"""

POD = """
kind: Pod
apiVersion: v1
metadata: {name: web, namespace: NAMESPACE, labels: {pci: "true"}}
spec:
  containers:
    - {name: a, image: "registry.corp/a/b:1"}
    - {name: b, image: redis}
    - {name: c, image: "redis:7@sha256:DIGEST"}
---
kind: Service
apiVersion: v1
metadata: {name: web}
---
kind: Deployment
apiVersion: apps/v1
metadata: {name: web, namespace: NAMESPACE}
spec: {template: {spec: {containers: [{name: d, image: "redis:7"}]}}}
"""

TOLERANT = (PinWhat.NONE, Tags.ALLOW)


def written(folder: Path, text: str, name: str = "rules.yaml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


async def tried(
    folder: Path, *options: str, namespace: str = "team", **environ: str
) -> list[dict[str, Any]]:
    pod = POD.replace("NAMESPACE", namespace).replace("DIGEST", "a" * 64)
    ran = await imagegate(
        "rules",
        "test",
        written(folder, RULES),
        written(folder, pod, "pod.yaml"),
        *options,
        "-o",
        "json",
        state=folder,
        **environ,
    )
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


async def test_a_good_file_is_good_and_what_will_surprise_is_said(tmp_path: Path) -> None:
    ran = await imagegate("rules", "check", written(tmp_path, RULES), state=tmp_path)
    assert ran.code == 0
    told = " ".join(ran.out.split())
    assert "good: 4 rules, 2 exceptions, 1 registries; what none matches: enforce, analysis" in told
    assert "the exception of cache for docker.io/library/old has ended (2020-01-31" in told
    assert "gone.json is not there" in told
    assert "library/redis" not in told


async def test_a_bad_file_is_told_by_line_and_key_with_exit_code_1(tmp_path: Path) -> None:
    bad = RULES.replace("mode: deny", "mood: deny")
    ran = await imagegate("rules", "check", written(tmp_path, bad), state=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "rules.yaml:" in ran.err
    assert "unknown key 'mood'" in ran.err
    assert "'mode'" in ran.err


async def test_where_it_depends_on_labels_that_nobody_told_it_says_so(tmp_path: Path) -> None:
    found = await tried(tmp_path)
    told = [
        (one["image"].partition("@")[0], "labels of its namespace" in one["says"]) for one in found
    ]
    assert told == [
        ("registry.corp/a/b:1", True),
        ("redis", False),
        ("redis:7", True),
        ("redis:7", True),
    ]
    assert [one["says"] for one in found if one["rule"] == "no latest"] == [
        "rule no latest denies it: use another image, or have the rule changed"
    ]


async def test_labels_of_the_namespace_decide_once_they_are_given(tmp_path: Path) -> None:
    gold = await tried(tmp_path, "--namespace-label", "tier=gold")
    assert {(one["rule"], one["mode"]) for one in gold} == {
        ("gold", "warn"),
        ("pci", "enforce"),
        ("no latest", "deny"),
    }
    other = await tried(tmp_path, "--namespace-label", "tier=tin")
    by_digest = [one for one in other if "@" in one["image"]]
    assert [(one["rule"], one["asks"], one["exceptions"]) for one in by_digest] == [
        ("default", "analysis alone", ["CVE-2026-0001+openssl, of cache"]),
        ("pci", "policy pci", ["CVE-2026-0001+openssl, of cache"]),
    ]


async def test_it_says_whose_policy_is_asked_and_what_is_pinned(tmp_path: Path) -> None:
    found = await tried(tmp_path, "--namespace-label", "tier=tin", namespace="payments-eu")
    first = found[0]
    assert (first["rule"], first["asks"]) == ("payments", "policy strict of account payments")
    assert [one["pinned"] for one in found if one["image"] == "registry.corp/a/b:1"] == [True, True]
    assert not any(one["pinned"] for one in found if one["object"].startswith("Deployment"))


async def test_what_is_pinned_is_as_the_webhooks_settings_say(tmp_path: Path) -> None:
    none, everything = [
        await tried(tmp_path, "--namespace-label", "tier=tin", IMAGEGATE_PIN=pin)
        for pin in ("none", "all")
    ]
    assert not any(one["pinned"] for one in none)
    workloads = [one for one in everything if one["object"].startswith("Deployment")]
    assert any(one["pinned"] for one in workloads)


async def test_a_setting_that_is_none_is_said(tmp_path: Path) -> None:
    ran = await imagegate(
        "rules",
        "test",
        written(tmp_path, RULES),
        written(tmp_path, POD, "pod.yaml"),
        state=tmp_path,
        IMAGEGATE_PIN="some",
    )
    assert ran.code == 2
    assert "IMAGEGATE_PIN" in ran.err


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ("kind: Service\napiVersion: v1\nmetadata: {name: a}\n", "only these are judged"),
        ("just text", "without a kind"),
        ("kind: Pod\napiVersion: v1\nspec: {containers: 7}\n", "would be refused unread"),
    ],
)
async def test_objects_that_cannot_be_tried_are_told(
    tmp_path: Path, objects: str, said: str
) -> None:
    rules, file = written(tmp_path, RULES), written(tmp_path, objects, "o.yaml")
    ran = await imagegate("rules", "test", rules, file, state=tmp_path)
    assert ran.code == 2
    assert said in ran.err


async def test_the_starter_rules_are_good_and_so_is_what_stands_in_their_comments(
    tmp_path: Path,
) -> None:
    ran = await imagegate("rules", "starter", state=tmp_path)
    rules = load_rules(Path(written(tmp_path, ran.out)))
    assert (rules.default.mode, rules.default.turn_grace) == (Mode.ENFORCE, DAY)
    tolerant = [rule.name for rule in rules.rules if (rule.pin, rule.tags) == TOLERANT]
    assert len(tolerant) == len(rules.rules) == 2
    whole = load_rules(Path(written(tmp_path, _with_examples(ran.out), "whole.yaml")))
    assert [rule.mode for rule in whole.rules[2:]] == [Mode.ENFORCE, Mode.DENY]
    assert (len(whole.exceptions), len(whole.registries)) == (1, 1)
    assert "docker.io" in whole.allow_registries


def _with_examples(text: str) -> str:
    """With the keys and the list entries that stand in comments."""
    shown = []
    for line in text.splitlines():
        lead, mark, rest = line.partition("# ")
        keys = ("exceptions:", "allowRegistries:", "registries:")
        an_example = mark and (rest.startswith((*keys, "- ", "  ")))
        shown.append(lead + rest if an_example else line)
    return "\n".join(shown) + "\n"


async def test_the_schema_is_the_one_that_the_documentation_holds(tmp_path: Path) -> None:
    ran = await imagegate("rules", "schema", state=tmp_path)
    assert json.loads(ran.out) == json.loads((REPOSITORY / "docs/rules.schema.json").read_bytes())
