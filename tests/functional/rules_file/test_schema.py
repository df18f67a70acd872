"""docs/rules.schema.json says what the loader says, as far as a schema can."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from shared.adapters.rules_file.loading import load_rules
from shared.adapters.rules_file.schema import rules_schema
from shared.domain.errors import InvalidRules
from tests.functional.rules_file.files import HEAD, read
from tests.functional.rules_file.test_document import WHOLE

ROOT = Path(__file__).parents[3]
SCHEMA = rules_schema()
OURS = [
    path
    for folder in ("compose", "k8s", "services")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if re.search(r"^apiVersion: imagegate.dev/v1$", path.read_text(), re.MULTILINE)
]


class Plain(yaml.SafeLoader):
    """YAML as editors read it: a time is a text."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def plain(text: str) -> Any:
    """What stands in a file, as editors see it."""
    return Plain(text).get_single_data()


def complaints(text: str) -> list[str]:
    """What the schema says of a file."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(plain(text))]


def taken(file: Path, text: str) -> bool:
    """Whether the loader takes it."""
    try:
        read(file, text)
    except InvalidRules:
        return False
    return True


def test_the_schema_in_the_docs_is_the_loaders() -> None:
    written = json.loads((ROOT / "docs" / "rules.schema.json").read_text())
    assert written == SCHEMA, "imagegate rules schema > docs/rules.schema.json"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def objects(schema: dict[str, Any], way: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with keys of its own in a schema, with the way to it in a file."""
    if schema.get("additionalProperties") is False:
        yield way, schema
        for key, inner in schema["properties"].items():
            yield from objects(inner, f"{way}.{key}" if way else key)
    if "items" in schema:
        yield from objects(schema["items"], f"{way}[0]")


def test_everything_in_it_is_explained() -> None:
    for way, schema in objects(SCHEMA):
        assert [
            key for key, inner in schema["properties"].items() if not inner["description"]
        ] == []
        assert schema["description"], way


def put(document: Any, way: str, key: str) -> None:
    """Put an unknown key where the way leads."""
    for step in re.findall(r"\w+", way):
        document = document[int(step) if step.isdigit() else step]
    document[key] = "x"


@pytest.mark.parametrize("way", [way for way, _ in objects(SCHEMA)])
def test_loader_and_schema_take_the_same_keys(file: Path, way: str) -> None:
    document = plain(WHOLE)
    put(document, way, "surely-unknown")
    with pytest.raises(InvalidRules, match=r"unknown key 'surely-unknown'") as caught:
        read(file, json.dumps(document))
    (valid,) = re.findall(r"\(valid here: (.*)\)", str(caught.value))
    assert set(valid.split(", ")) == set(dict(objects(SCHEMA))[way]["properties"])
    assert complaints(json.dumps(document))


def test_there_are_files_of_ours() -> None:
    names = {str(path.relative_to(ROOT)) for path in OURS}
    assert names >= {
        "compose/rules/rules.yaml",
        "compose/demo/rules/rules.yaml",
        "services/cli/rules/starter.yaml",
    }


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_own_files_are_good(path: Path) -> None:
    load_rules(path)
    assert complaints(path.read_text()) == []


EXCEPTION = "- {image: %s, findings: %s, namespaces: %s, reason: r, owner: o, expires: %s}"
DIGEST = "sha256:" + "a" * 64
UNTIL = "2027-01-31T00:00:00Z"


def rule(match: str, terms: str = "mode: enforce") -> str:
    return f"rules:\n- {{name: a, match: {match}, {terms}}}\n"


def exception(
    image: str = f"a.b/c@{DIGEST}",
    findings: str = "[x]",
    namespaces: str = "['*']",
    expires: str = UNTIL,
) -> str:
    return f"exceptions:\n{EXCEPTION % (image, findings, namespaces, expires)}\n"


def registry(entry: str) -> str:
    return f"registries: [{{host: a.b, {entry}}}]\n"


GOOD = [
    "",
    "default: {}",
    "default: {mode: allow}",
    "default: {turnGrace: 7d, pin: none, tags: allow}",
    rule("{namespaces: [team-*, '?', '*-x']}"),
    rule("{namespaceLabels: {a.b/c: d, e: ''}}"),
    rule("{images: ['**', 'a.b:5000/**/x', '*.corp/a?', '[::1]:5000/x', 'docker.io/library/*']}"),
    rule(f"{{images: ['a.b/c@{DIGEST}']}}"),
    rule("{images: ['**:latest', 'a.b/c:V?']}", "mode: deny"),
    rule("{users: ['system:serviceaccount:*']}", "mode: audit"),
    rule("{labels: {a: b}, namespaces: [x]}", "mode: deny"),
    rule("{kinds: [Pod, Job]}", "policy: {id: x}, pin: pods, tags: pinned"),
    rule("{annotations: {a: 'any text'}}", "require: analysis"),
    exception(),
    exception(findings="[all]"),
    exception(image="a.b:5000/c", findings="[x, allright]"),
    exception(image="redis", namespaces="[x, 'y-*']"),
    exception(expires="'2027-01-31T02:00:00.5+02:00'"),
    registry("insecure: true, immutableTags: ['v*']"),
    registry("repositories: ['team-*/**', x]"),
    registry("userFile: u, passwordFile: p"),
    registry("helper: docker-credential-ecr-login"),
    registry("helper: /opt/helper"),
    "allowRegistries: ['a.b:5000', docker.io, '[::1]:5000']",
    "platforms: [linux/amd64, windows/arm64]",
    "placeholders: [auto, 'any text']",
]

BAD = [
    "rules: []",
    "default: []",
    "default: {mode: Enforce}",
    "default: {require: nothing}",
    "default: {turnGrace: 24}",
    "default: {turnGrace: 1h30m}",
    "default: {pin: all}",
    "default: {tags: maybe}",
    "default: {policy: {id: é}}",
    "default: {policy: {id: 12}}",
    "default: {mode: allow, require: policy}",
    "default: {mode: deny, turnGrace: 1h}",
    "rules: [{name: a}]",
    "rules: [{match: {namespaces: [x]}}]",
    "rules: [{name: default, match: {namespaces: [x]}}]",
    f"rules: [{{name: {'a' * 64}, match: {{namespaces: [x]}}}}]",
    "rules: [{name: ' a', match: {namespaces: [x]}}]",
    rule("{}"),
    rule("{namespaces: []}"),
    rule("{namespaces: x}"),
    rule("{namespaces: [Team]}"),
    rule("{namespaces: [team-]}"),
    rule("{namespaces: ['te[a]m']}"),
    rule("{namespaceLabels: {}}"),
    rule("{namespaceLabels: {a b: c}}"),
    rule("{labels: {a: b c}}"),
    rule("{labels: {a: true}}"),
    rule("{kinds: [Service]}"),
    rule("{users: ['']}"),
    rule("{images: ['A.b/c']}"),
    rule("{images: ['a.b/c[de]']}"),
    rule("{images: ['a.b//c']}"),
    rule("{images: ['https://a.b/c']}"),
    rule("{images: ['a.b/c@sha256:abc']}"),
    rule("{images: ['a.b/c:v1']}"),
    rule("{images: ['**', '**:latest']}", "mode: allow"),
    rule(f"{{images: ['a.b/c:v1@{DIGEST}']}}", "mode: warn"),
    rule("{labels: {a: b}}", "mode: warn"),
    rule("{annotations: {a: b}}", "mode: allow"),
    rule("{kinds: [Pod]}", "turnGrace: 1h"),
    rule("{kinds: [Pod]}", "pin: none"),
    rule("{labels: {a: b}, namespaces: [x]}", "tags: allow"),
    rule("{namespaces: [x]}", "mode: deny, tags: pinned"),
    exception(image="a.b/c:1"),
    exception(image=f"a.b/c:1@{DIGEST}"),
    exception(image="'a.b/**'"),
    exception(image="a.b/c@sha256:abc"),
    exception(findings="[]"),
    exception(findings="all"),
    exception(findings="[ALL]"),
    exception(findings="[all, x]"),
    exception(findings="['CVE-2026-*']"),
    exception(image="a.b/c", findings="[all]"),
    exception(namespaces="[]"),
    exception(namespaces="[Team]"),
    exception(expires="2027-01-31"),
    exception(expires="2027-01-31T00:00:00"),
    exception(expires="never"),
    exception().replace("reason: r, ", ""),
    exception().replace("owner: o", "owner: ' '"),
    "registries: [{insecure: true}]",
    registry("insecure: 'no'"),
    registry("repositories: []"),
    registry("repositories: ['Team/**']"),
    registry("repositories: ['v[12]']"),
    registry("immutableTags: ['v[12]']"),
    registry("userFile: u"),
    registry("passwordFile: p"),
    registry("credentials: c, helper: /x"),
    registry("credentials: c, userFile: u, passwordFile: p"),
    registry("userFile: u, passwordFile: p, helper: /x"),
    registry("helper: ecr-login"),
    "allowRegistries: ['https://a.b']",
    "allowRegistries: [a.b/c]",
    "platforms: [linux]",
    "platforms: [linux/arm64/v8]",
    "placeholders: [12]",
    "nonsense: 1",
]

ONLY_LOADED = [
    "rules: [{name: a, match: {namespaces: [x]}}, {name: a, match: {namespaces: [y]}}]",
    "rules: [{name: a, match: {namespaces: [x]}}, {name: b, match: {namespaces: [x]}}]",
    "default: {turnGrace: 8d}",
    rule("{images: [redis]}"),
    rule("{images: ['docker.io/redis']}"),
    rule("{images: ['a.b/team-**']}"),
    exception(expires="2027-02-30T00:00:00Z"),
    "registries: [{host: a.b}, {host: a.b}]",
    "allowRegistries: [registry]",
    "platforms: [linux/aarch64]",
]
"""What takes thinking."""


@pytest.mark.parametrize("body", GOOD)
def test_what_the_loader_takes_the_schema_takes(file: Path, body: str) -> None:
    assert complaints(HEAD + body) == []
    read(file, HEAD + body)


@pytest.mark.parametrize("body", BAD)
def test_what_the_schema_refuses_the_loader_refuses(file: Path, body: str) -> None:
    assert complaints(HEAD + body)
    assert not taken(file, HEAD + body)


@pytest.mark.parametrize("body", ONLY_LOADED)
def test_what_takes_thinking_only_the_loader_refuses(file: Path, body: str) -> None:
    assert complaints(HEAD + body) == []
    assert not taken(file, HEAD + body)


def test_a_whole_file_is_good() -> None:
    assert complaints(WHOLE) == []
