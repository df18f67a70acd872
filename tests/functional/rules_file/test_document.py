"""The rules file as YAML: what it says is what holds, and what it cannot mean is an error."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.rules_file.loading import load_rules
from shared.domain.errors import InvalidRules
from shared.domain.exceptions import ImageException
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.rules import (
    Match,
    Mode,
    PinWhat,
    PolicyChoice,
    RegistryRule,
    Requirement,
    Rule,
    Rules,
    Tags,
)
from tests.functional.rules_file.files import HEAD, read

WHOLE = """\
apiVersion: imagegate.dev/v1
rules:
  - name: payments
    match:
      namespaces: [payments-*, "pay?"]
      namespaceLabels: {tier: prod, "team.corp/zone": ""}
      images: ["registry.corp/**", "docker.io/library/*"]
      users: ["system:serviceaccount:ci:*"]
    mode: enforce
    require: policy
    policy: {account: payments, id: prod-bundle}
    turnGrace: 24h
    pin: none
    tags: allow
  - name: no latest
    match: {images: ["**:latest"]}
    mode: deny
  - name: pci
    match: {labels: {pci: "true"}, annotations: {note: "any text"}, kinds: [Pod, CronJob]}
    policy: {account: payments, id: pci}
default:
  mode: warn
  require: analysis
  policy: {account: payments, id: prod-bundle}
  turnGrace: 90m
  pin: pods
  tags: pinned
exceptions:
  - image: "redis@sha256:DIGEST"
    findings: ["CVE-2026-0001+openssl"]
    namespaces: [team-cache, "cache-*"]
    reason: no fix yet
    owner: team-cache
    expires: 2027-01-31T00:00:00Z
registries:
  - {host: GHCR.io, repositories: ["team-a/**"], credentials: /run/secrets/config.json}
  - host: registry.corp:5000
    insecure: true
    immutableTags: ["v*"]
  - host: index.docker.io
    credentials: docker.json
  - {host: quay.io, userFile: quay/user, passwordFile: /run/secrets/quay}
  - {host: 1.dkr.ecr.eu-west-1.amazonaws.com, helper: docker-credential-ecr-login}
allowRegistries: ["registry.corp:5000", index.docker.io, "[::1]:5000"]
platforms: [linux/amd64, linux/arm64]
placeholders: [auto, "set by the operator"]
""".replace("DIGEST", "a" * 64)


def test_a_whole_file_is_read(file: Path) -> None:
    bundle = PolicyChoice(account="payments", id="prod-bundle")
    assert read(file, WHOLE) == Rules(
        rules=(
            Rule(
                name="payments",
                match=Match(
                    namespaces=(Glob("payments-*"), Glob("pay?")),
                    namespace_labels=(("team.corp/zone", ""), ("tier", "prod")),
                    images=(ImagePattern("registry.corp/**"), ImagePattern("docker.io/library/*")),
                    users=(Glob("system:serviceaccount:ci:*"),),
                ),
                policy=bundle,
                turn_grace=86_400_000,
                pin=PinWhat.NONE,
                tags=Tags.ALLOW,
            ),
            Rule(
                name="no latest", mode=Mode.DENY, match=Match(images=(ImagePattern("**:latest"),))
            ),
            Rule(
                name="pci",
                match=Match(
                    labels=(("pci", "true"),),
                    annotations=(("note", "any text"),),
                    kinds=("Pod", "CronJob"),
                ),
                policy=PolicyChoice(account="payments", id="pci"),
            ),
        ),
        default=Rule(
            mode=Mode.WARN,
            require=Requirement.ANALYSIS,
            policy=bundle,
            turn_grace=5_400_000,
            pin=PinWhat.PODS,
            tags=Tags.PINNED,
        ),
        exceptions=(
            ImageException(
                image=f"docker.io/library/redis@sha256:{'a' * 64}",
                findings=("CVE-2026-0001+openssl",),
                namespaces=("team-cache", "cache-*"),
                reason="no fix yet",
                owner="team-cache",
                expires=1_801_353_600_000,
            ),
        ),
        registries=(
            RegistryRule(
                host="ghcr.io",
                repositories=(Glob("team-a/**", path=True),),
                credentials="/run/secrets/config.json",
            ),
            RegistryRule(host="registry.corp:5000", insecure=True, immutable_tags=(Glob("v*"),)),
            RegistryRule(host="docker.io", credentials=str(file.parent / "docker.json")),
            RegistryRule(
                host="quay.io",
                user_file=str(file.parent / "quay/user"),
                password_file="/run/secrets/quay",
            ),
            RegistryRule(
                host="1.dkr.ecr.eu-west-1.amazonaws.com", helper="docker-credential-ecr-login"
            ),
        ),
        allow_registries=("registry.corp:5000", "docker.io", "[::1]:5000"),
        platforms=("linux/amd64", "linux/arm64"),
        placeholders=("auto", "set by the operator"),
    )


def test_what_is_left_out_is_strict(file: Path) -> None:
    rules = read(file, HEAD)
    assert rules == Rules()
    assert (rules.default.mode, rules.default.require) == (Mode.ENFORCE, Requirement.POLICY)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_can_be_the_default_if_it_is_spelt(file: Path, mode: Mode) -> None:
    assert read(file, f"{HEAD}default: {{mode: {mode}}}\n").default.mode is mode


def test_json_is_yaml(file: Path) -> None:
    text = '{"apiVersion": "imagegate.dev/v1", "allowRegistries": ["ghcr.io"]}'
    assert read(file, text).allow_registries == ("ghcr.io",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{HEAD}defualt: {{}}\n", 2, "unknown key 'defualt'; the nearest valid one is 'default'"),
        (f"{HEAD}default:\n  Mode: warn\n", 3, "default: unknown key 'Mode'.*'mode'"),
        (f"{HEAD}default:\n  policy: {{name: x}}\n", 3, "default.policy: unknown key 'name'"),
        (
            f"{HEAD}registries:\n- host: a.b\n- host: c.d\n  immutabletags: [x]\n",
            5,
            r"registries\[1\]: unknown key 'immutabletags'.*'immutableTags'",
        ),
        (f"{HEAD}rule: []\n", 2, "unknown key 'rule'.*'rules'"),
        (f"{HEAD}rules:\n- {{name: a, matches: {{}}}}\n", 3, r"rules\[0\]: .*'matches'.*'match'"),
        (
            f"{HEAD}rules:\n- name: a\n  match:\n    namespace: [x]\n",
            5,
            r"rules\[0\]\.match: unknown key 'namespace'.*'namespaces'",
        ),
        (f"{HEAD}exceptions:\n- until: x\n", 3, r"exceptions\[0\]: unknown key 'until'"),
        (f"{HEAD}default:\n  match: {{}}\n", 3, "default: unknown key 'match'"),
        (f"{HEAD}1: x\n", 2, "a key must be one of"),
        (f"{HEAD}? [a]\n: x\n", 2, "a key must be one of"),
        (f"{HEAD}<<: {{default: {{}}}}\n", 2, "a key must be one of"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one(
    file: Path, text: str, line: int, said: str
) -> None:
    """docs/design/field-notes.md 3b, row 12 (CVE-2025-29778)."""
    with pytest.raises(InvalidRules, match=f"rules.yaml:{line}:.*{said}"):
        read(file, text)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{HEAD}default: {{}}\ndefault: {{mode: allow}}\n", 3, "default: this key stands twice"),
        (f"{HEAD}default:\n  mode: deny\n  mode: allow\n", 4, r"default\.mode: this key stands"),
        (f"{HEAD}registries:\n- {{host: a.b}}\n- {{host: a.b}}\n", 4, r"registries\[1\]: an entry"),
        (
            f"{HEAD}registries:\n- {{host: docker.io}}\n- {{host: index.docker.io}}\n",
            4,
            ".*an entry",
        ),
        (
            f"{HEAD}registries:\n- {{host: a.b, repositories: [x, y]}}\n"
            "- {host: a.b, repositories: [y]}\n",
            4,
            ".*same repositories",
        ),
    ],
)
def test_what_stands_twice_is_refused(file: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(InvalidRules, match=f"rules.yaml:{line}: {said}"):
        read(file, text)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("null\n", 1, "must be a mapping, not nothing"),
        ("[]\n", 1, "must be a mapping, not a list"),
        ("default: {}\n", 1, "the key 'apiVersion' is missing"),
        ("apiVersion: imagegate.dev/v2\n", 1, "is not one of imagegate.dev/v1"),
        ("apiVersion: 1\n", 1, "apiVersion: must be a text, not a number; put it in quotes"),
        (f"{HEAD}default:\n", 2, "default: must be a mapping, not nothing"),
        (f"{HEAD}default: allow\n", 2, "must be a mapping, not a text"),
        (f"{HEAD}default:\n  mode: off\n", 3, "must be a text, not true or false"),
        (f"{HEAD}default:\n  mode: enforc\n", 3, "'enforc' is not one of.*'enforce'"),
        (f"{HEAD}default:\n  mode: ENFORCE\n", 3, "'enforce'"),
        (f"{HEAD}default:\n  mode:\n", 3, "must be a text, not nothing"),
        (f"{HEAD}default:\n  require: polcy\n", 3, "'policy'"),
        (f"{HEAD}default:\n  policy: {{id: 12}}\n", 3, "must be a text, not a number"),
        (f"{HEAD}default:\n  policy: {{id: ''}}\n", 3, "leave it out"),
        (f'{HEAD}default:\n  policy: {{id: "a\\nb"}}\n', 3, "printable"),
        (f"{HEAD}allowRegistries: ghcr.io\n", 2, "must be a list, not a text"),
        (f"{HEAD}allowRegistries: []\n", 2, "if it has none, leave it out"),
        (f"{HEAD}platforms: []\n", 2, "if it has none, leave it out"),
        (f"{HEAD}registries:\n- ghcr.io\n", 3, "must be a mapping, not a text"),
        (f"{HEAD}registries:\n- {{insecure: true}}\n", 3, "the key 'host' is missing"),
        (f"{HEAD}registries:\n- {{host: a.b, insecure: 'no'}}\n", 3, "must be true or false"),
        (f"{HEAD}registries:\n- {{host: a.b, insecure: 0}}\n", 3, "not a number"),
        (f"{HEAD}registries:\n- {{host: a.b, repositories: []}}\n", 3, "leave it out"),
        (f"{HEAD}registries:\n- {{host: a.b, immutableTags: [1.0]}}\n", 3, "put it in quotes"),
        (f"{HEAD}default: !!python/object:os.system {{}}\n", 2, "tags are not taken"),
        (f"{HEAD}default: {{mode: !secret x}}\n", 2, "tags are not taken"),
        (f"{HEAD}default: {{mode: !!str allow}}\n", 2, "tags are not taken"),
    ],
)
def test_a_value_that_is_wrong_is_named_with_its_line(
    file: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(InvalidRules, match=f"rules.yaml:{line}:.*({said})"):
        read(file, text)


@pytest.mark.parametrize(
    "platform",
    ["linux", "linux/arm64/v8", "linux/x86_64", "linux/aarch64", "Linux/amd64", "linux/", "/amd64"],
)
def test_a_platform_that_no_index_names_is_refused(file: Path, platform: str) -> None:
    with pytest.raises(InvalidRules, match=r"platforms\[0\].*linux/amd64"):
        read(file, f"{HEAD}platforms: [{platform}]\n")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{HEAD}default: &x {{}}\n", 2, "anchors and aliases are not taken"),
        (f"{HEAD}default: *x\n", 2, "anchors and aliases are not taken"),
        (f"{HEAD}---\n{HEAD}", 2, "but found another document"),
        (f"{HEAD}default: {{mode: warn\n", 3, "expected"),
        (f"{HEAD}\tdefault: x\n", 2, "."),
        (f"{HEAD}default: {'[' * 20}{']' * 20}\n", 2, "nested more than 16 deep"),
        (f"{HEAD}default: {'[' * 100_000}\n", 2, "nest"),
    ],
)
def test_what_is_no_plain_yaml_is_named_with_its_line(
    file: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(InvalidRules, match=f"rules.yaml:{line}: .*{said}"):
        read(file, text)


def test_a_file_of_very_many_values_is_refused(file: Path) -> None:
    with pytest.raises(InvalidRules, match=r"rules\.yaml:2: more than 50000 values"):
        read(file, f"{HEAD}allowRegistries: [{'a.b,' * 60_000}]\n")
    with pytest.raises(InvalidRules, match=r"allowRegistries: must have 1 to 10000 items"):
        read(file, f"{HEAD}allowRegistries: [{'a.b,' * 10_001}]\n")


def test_an_alias_bomb_costs_nothing(file: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for here, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{here}: &{here} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(InvalidRules, match="anchors"):
        read(file, "\n".join(lines))


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    with pytest.raises(InvalidRules, match=r"rules\.yaml:2: is not UTF-8"):
        read(file, HEAD.encode() + b"default: \xff\n")
    with pytest.raises(InvalidRules, match="is not YAML"):
        read(file, HEAD.encode() + b"default: \x00\n")


def test_a_file_that_is_too_large_is_refused(file: Path) -> None:
    with pytest.raises(InvalidRules, match="larger than 1048576 bytes"):
        read(file, HEAD + "#" * 1_048_576)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRules, match=r"gone\.yaml: cannot be read: no such file"):
        load_rules(tmp_path / "gone.yaml")
    with pytest.raises(InvalidRules, match="cannot be read: is a directory"):
        load_rules(tmp_path)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (HEAD + text).encode()))
def test_no_file_makes_it_fail_in_another_way(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-rules.yaml"
    with contextlib.suppress(InvalidRules):
        assert isinstance(read(file, content), Rules)
