"""The chart's own promises: what it makes is Kubernetes, what is misspelt is refused, what is told
twice is told alike."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from shared.adapters.rules_file.loading import load_rules
from shared.adapters.signatures import load_ring, load_sealer
from shared.domain.platforms import PlatformTerms, assumed
from shared.domain.signing import Role
from tests.deploy.chart import (
    ANCHORE,
    CHART,
    ROOT,
    SCANNER,
    Object,
    Refused,
    Values,
    helm,
    render,
    rendered,
)
from tests.deploy.examples import FOLDER as EXAMPLES
from tests.deploy.examples import SCHEMA, copies, examples, values_schema
from tests.unit.docs.operations import queries

VERSIONS = ("1.30", "1.31", "1.34", "1.37")
"""Of Kubernetes: from the oldest that we name to the newest that there is a schema of."""
VALIDATE = str(Path(sys.executable).with_name("kubernetes-validate"))
OF_OTHERS = ("cert-manager.io/", "keda.sh/", "monitoring.coreos.com/")
"""Kinds of which Kubernetes itself has no schema."""

ON = {"enabled": True}
EVERYTHING: Values = SCANNER | {
    "enforcement": "enforce",
    "dependencyNamespaces": ["redis"],
    "registrySecrets": {"ghcr": "ghcr"},
    "redis": {"caSecret": "redis-ca"},
    "rabbitmq": {"caSecret": "rabbitmq-ca"},
    "anchore": {"caSecret": "anchore-ca", "account": "other", "api": "v2"},
    "webhooks": {"pin": "all", "keepInStep": ON},
    "certificates": {"from": "cert-manager"},
    "webhook": {
        "autoscaling": ON,
        "settings": {"IMAGEGATE_WAIT": 1.5},
        "clientCA": {"configMap": "api-server-ca"},
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "podAnnotations": {"a": "b"},
    },
    "worker": {
        "autoscaling": {"by": "keda", "prometheus": "http://prometheus.monitoring.svc:9090"}
    },
    "networkPolicy": {"reviewsFrom": ["10.0.0.0/8"]},
    "monitoring": {"labels": {"release": "prometheus"}, "podMonitor": ON, "rules": ON}
    | {"dashboard": ON},
    "secondLine": ON | {"registries": ["docker.io"], "requireDigest": True},
    "exemptLabel": ON,
    "guard": ON | {"users": ["admin"]},
}
CASES: dict[str, tuple[Values, tuple[str, ...]]] = {
    "anchore": (ANCHORE, ()),
    "scanner": (SCANNER | {"enforcement": "enforce"}, ()),
    "none": (ANCHORE | {"enforcement": "none"}, ()),
    "everything": (EVERYTHING, ()),
    "hpa": (ANCHORE | {"worker": {"autoscaling": {"by": "hpa"}}}, ()),
    "oauth": (ANCHORE | {"anchore": ANCHORE["anchore"] | {"login": "oauth"}}, ()),
    "trial": (ANCHORE, ("values-trial.yaml",)),
    "eks": (ANCHORE, ("values-eks.yaml",)),
    "outside": (
        ANCHORE
        | {"webhook": {"enabled": False}, "webhooks": {"url": "https://g:1"}}
        | {"certificates": {"from": "secret"}},
        (),
    ),
}
cases = pytest.mark.parametrize("name", CASES)


def refused(objects: list[Object], version: str, folder: Path) -> list[str]:
    """What Kubernetes' schemas say against objects; a key that they do not know is refused."""
    file = folder / "objects.yaml"
    own = [one for one in objects if not one["apiVersion"].startswith(OF_OTHERS)]
    file.write_text(yaml.safe_dump_all(own))
    command = [VALIDATE, "-k", version, "--strict", "--quiet", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = f"{ran.stdout}{ran.stderr}".splitlines()
    assert bool(ran.returncode) is bool(said)
    return said


@cases
def test_it_makes_what_kubernetes_reads(name: str, tmp_path: Path) -> None:
    values, files = CASES[name]
    objects = rendered(values, *files)
    asked = [
        document
        for one in objects
        if one["metadata"]["name"] == "imagegate-webhooks" and one["kind"] == "ConfigMap"
        for document in yaml.safe_load_all(one["data"]["webhooks.yaml"])
    ]
    # ValidatingAdmissionPolicy came with 1.30.
    for version in VERSIONS:
        assert refused(objects + asked, version, tmp_path) == []


def test_a_misspelt_key_is_refused_by_the_schema_of_kubernetes(tmp_path: Path) -> None:
    (worker,) = (
        one
        for one in rendered(ANCHORE)
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", "imagegate-worker")
    )
    worker["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    (said,) = refused([worker], VERSIONS[0], tmp_path)
    assert "terminationGracePeriod" in said


OTHERS: dict[str, set[str]] = {
    "ScaledObject": {
        *("scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval"),
        *("cooldownPeriod", "fallback", "advanced", "triggers"),
    },
    "Certificate": {
        *("secretName", "isCA", "commonName", "dnsNames", "duration", "renewBefore"),
        *("privateKey", "issuerRef"),
    },
    "Issuer": {"selfSigned", "ca"},
    "PodMonitor": {"selector", "podMetricsEndpoints"},
    "PrometheusRule": {"groups"},
}
"""Fields of a spec as the CRDs of these operators publish them, as far as we use any."""


def test_objects_of_operators_name_fields_that_these_have() -> None:
    found = [one for one in rendered(EVERYTHING) if one["apiVersion"].startswith(OF_OTHERS)]
    assert {one["kind"] for one in found} == set(OTHERS)
    for one in found:
        assert set(one["spec"]) <= OTHERS[one["kind"]], one
    (scaled,) = (one["spec"] for one in found if one["kind"] == "ScaledObject")
    for trigger in scaled["triggers"]:
        # KEDA's fallback takes averages only, and its metadata are texts.
        assert set(trigger) == {"type", "name", "metadata"}
        assert all(isinstance(text, str) for text in trigger["metadata"].values())


@cases
def test_helm_finds_nothing_to_say(name: str) -> None:
    values, files = CASES[name]
    options = [f"--values={CHART / file}" for file in files]
    said = helm("lint", str(CHART), "--strict", *options, values=values)
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "image.repository is not set"),
        ({"image": ANCHORE["image"]}, "anchore.url is not set"),
        (ANCHORE | {"enforcment": "enforce"}, "'enforcment' not allowed"),
        (ANCHORE | {"enforcement": "on"}, "must be one of 'audit', 'enforce', 'none'"),
        (ANCHORE | {"webhook": {"settings": {"REDIS_URL": "redis://"}}}, "REDIS_URL"),
        (ANCHORE | {"webhook": {"replicas": 0}}, "/webhook/replicas"),
        (ANCHORE | {"rules": {"defaults": {}}}, "'defaults' not allowed"),
        (ANCHORE | {"rules": {"default": {"mode": "enforc"}}}, "/rules/default/mode"),
        (ANCHORE | {"rules": {"default": {"turnGrace": 24}}}, "/rules/default/turnGrace"),
        (ANCHORE | {"rules": {"rules": [{"nmae": "x"}]}}, "/rules/rules/0"),
        (ANCHORE | {"rules": {"platforms": ["linux"]}}, "/rules/platforms/0"),
        (ANCHORE | {"rules": {"allowRegistries": ["https://ghcr.io"]}}, "/rules/allowRegistries/0"),
        (ANCHORE | {"webhooks": {"url": "http://gate"}}, "/webhooks/url"),
        (ANCHORE | {"dependencyNamespaces": ["Redis"]}, "/dependencyNamespaces/0"),
        (ANCHORE | {"worker": {"autoscaling": {"by": "keda"}}}, "worker.autoscaling.prometheus is"),
        (ANCHORE | {"webhooks": {"url": "https://gate"}}, "bring its CA in a Secret"),
        (ANCHORE | {"secondLine": ON}, "secondLine.enabled is true and asks for nothing"),
        (ANCHORE | {"exemptLabel": ON}, "set guard.enabled too"),
        (ANCHORE | {"guard": ON | {"groups": []}}, "guard.enabled is true and nobody may"),
        (ANCHORE | {"inventory": {"enabled": False}}, "inventory.enabled is false and"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(values: Values, says: str) -> None:
    with pytest.raises(Refused) as raised:
        render(values)
    assert says in str(raised.value)


def test_every_value_is_described_by_the_schema_and_nothing_else_is_taken() -> None:
    """Helm itself refuses a default that the schema does not have: here it is the other way."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def unsaid(part: Any, told: Any, place: str) -> Iterator[str]:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, place
        # What is empty in values.yaml is an operator's to fill.
        for name, one in part["properties"].items() if told else ():
            if name in told:
                yield from unsaid(one, told[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"

    # Of rules it says what the schema of rules says.
    schema["properties"]["rules"] = {}
    assert set(unsaid(schema, values, "")) == {".global", ".webhooks.image"}


def test_of_rules_the_schema_says_what_the_schema_of_rules_says() -> None:
    """`make examples` makes it anew."""
    assert SCHEMA.read_text() == values_schema()


def _at(values: Any, place: str) -> Any:
    for name in place.split(".")[1:]:
        values = values[name]
    return values


def test_the_examples_are_what_the_chart_makes() -> None:
    """`make examples` makes them anew."""
    there = {path.name: path.read_text() for path in EXAMPLES.glob("*.yaml")}
    assert there == examples()


def test_an_example_never_has_the_api_server_ask_before_there_is_a_webhook() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        kinds = {one["kind"] for one in yaml.safe_load_all(path.read_text()) if one}
        asks = {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}
        assert (kinds == asks) is path.name.endswith("-webhooks.yaml"), path
        assert kinds.isdisjoint({"Secret", "Job"})


def test_what_the_chart_has_a_copy_of_is_as_it_stands_elsewhere() -> None:
    """The servers of a trial are told what those of compose are, the alerts are those of the
    operations page. `make examples` copies them anew."""
    there = {path.name: path.read_text() for path in (CHART / "files").iterdir()}
    assert there == copies()


def test_the_alerts_are_a_rule_of_prometheus() -> None:
    (rule,) = (one for one in rendered(EVERYTHING) if one["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(copies()["alerts.yaml"])
    assert len(rule["spec"]["groups"]) == 2


def test_the_dashboard_asks_what_the_operations_page_asks() -> None:
    (found,) = (
        one for one in rendered(EVERYTHING) if one["metadata"]["name"] == "imagegate-dashboard"
    )
    panels = json.loads(found["data"]["imagegate.json"])["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    page = (ROOT / "docs" / "operations.md").read_text().partition("\n## Alerts\n")[0]
    assert sorted(asked) == sorted(query for query in queries() if query in page)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)


def test_the_readme_has_every_value_with_its_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    table = (CHART / "README.md").read_text()
    rows = dict(re.findall(r"^\| `([A-Za-z.]+)` \| `([^|]*)` \|", table, re.MULTILINE))
    for place, default in rows.items():
        assert _at(values, f".{place}") == yaml.safe_load(default), place
    for name, part in values.items():
        documented = [place for place in rows if place.split(".")[0] == name]
        assert documented or f"`{name}" in table, f"{name}: {part}"


def secret(objects: list[Object], name: str) -> dict[str, bytes]:
    (found,) = (
        one for one in objects if (one["kind"], one["metadata"]["name"]) == ("Secret", name)
    )
    return {key: base64.b64decode(text) for key, text in found["data"].items()}


@pytest.fixture(scope="module")
def trial() -> list[Object]:
    return rendered(ANCHORE, "values-trial.yaml")


def test_keys_that_helm_makes_are_ours(trial: list[Object], tmp_path: Path) -> None:
    for name, content in secret(trial, "imagegate-worker-keys").items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    sealer = load_sealer(tmp_path)
    assert load_ring(tmp_path).trusts(sealer.key_id, Role.WORKER)
    (tmp_path / "operator.key").write_bytes(secret(trial, "imagegate-operator")["operator.key"])
    (tmp_path / "operator.key").chmod(0o600)
    operator = load_sealer(tmp_path, role=Role.OPERATOR)
    assert load_ring(tmp_path).trusts(operator.key_id, Role.OPERATOR)
    (public,) = (one["data"] for one in trial if one["metadata"]["name"] == "imagegate-public-keys")
    assert public["worker.pub"].encode() == (tmp_path / "worker.pub").read_bytes()


def test_a_certificate_that_helm_makes_is_believed_for_the_service(trial: list[Object]) -> None:
    held = secret(trial, "imagegate-webhook-tls")
    authority = x509.load_pem_x509_certificate(held["ca.crt"])
    shown = x509.load_pem_x509_certificate(held["tls.crt"])
    name = x509.DNSName("imagegate-webhook.imagegate.svc")
    verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(name)
    assert verifier.verify(shown, [])
    assert "tls.key" in secret(trial, "imagegate-webhook-ca")
    mounts = [one for one in trial if "imagegate-webhook-ca" in str(one.get("spec", ""))]
    assert mounts == [], "nobody mounts the CA's key"


def test_the_users_of_a_trial_have_the_passwords_that_their_services_show(
    trial: list[Object],
) -> None:
    acl = secret(trial, "imagegate-redis")["redis.acl"].decode()
    definitions = json.loads(secret(trial, "imagegate-rabbitmq")["definitions.json"])
    passwords = {user["name"]: user["password"] for user in definitions["users"]}
    assert "%webhook%" not in acl
    for service in ("webhook", "worker", "intake", "console", "operator"):
        held = secret(trial, f"imagegate-{service}")
        redis = held["redis-url"].decode().partition("@")[0].rpartition(":")[2]
        amqp = held["amqp-url"].decode().partition("@")[0].rpartition(":")[2]
        assert f"user {service} reset on #{hashlib.sha256(redis.encode()).hexdigest()} " in acl
        assert passwords[service] == amqp
    assert len(set(passwords.values())) == len(passwords)


def test_what_the_nodes_are_counts_where_nobody_named_platforms(tmp_path: Path) -> None:
    """Rules that name platforms have the last word, those of the chart's own values too."""
    file = tmp_path / "rules.yaml"
    file.write_text(_rules_of(rendered(ANCHORE)))
    rules = load_rules(file)
    mixed = assumed("", 1).seeing(["linux/amd64", "linux/arm64"], 2)
    terms = PlatformTerms.told(cluster="", inventory="on")

    assert terms.counted(rules, mixed, now=9, grace=0) == ("linux/amd64", "linux/arm64")


def _rules_of(objects: list[Object]) -> str:
    (held,) = (one for one in objects if one["metadata"]["name"] == "imagegate-rules")
    return str(held["data"]["rules.yaml"])


@pytest.mark.parametrize("enforcement", ["audit", "enforce"])
def test_rules_of_values_are_rules(enforcement: str, tmp_path: Path) -> None:
    rules = {
        "rules": [
            {"name": "pci", "match": {"labels": {"pci": "true"}}, "policy": {"id": "pci"}},
            {"name": "no latest", "match": {"images": ["**:latest"]}, "mode": "deny"},
            {"name": "noted", "match": {"annotations": {"pci": "yes"}}, "policy": {"id": "pci"}},
            {"name": "jobs", "match": {"kinds": ["Job"]}, "policy": {"id": "pci"}},
            {"name": "shop", "match": {"namespaces": ["shop"]}},
            {"name": "told", "match": {"namespaces": ["a"]}, "mode": "warn"},
        ]
    }
    objects = rendered(ANCHORE | {"enforcement": enforcement, "rules": rules})
    file = tmp_path / "rules.yaml"
    file.write_text(_rules_of(objects))
    modes = [(rule.name, str(rule.mode)) for rule in load_rules(file).rules]
    if enforcement == "audit":
        assert modes == [("shop", "audit"), ("told", "warn")]
    else:
        strict = [("pci", "enforce"), ("no latest", "deny"), ("noted", "enforce")]
        assert modes == [*strict, ("jobs", "enforce"), ("shop", "enforce"), ("told", "warn")]


@pytest.mark.parametrize(
    ("mode", "audited"),
    [("enforce", "audit"), ("deny", "audit"), ("warn", "warn"), ("audit", "audit")],
)
def test_in_audit_what_no_rule_is_about_is_refused_by_no_mode(
    mode: str, audited: str, tmp_path: Path
) -> None:
    rules = {"default": {"mode": mode}, "rules": [{"name": "a", "match": {"kinds": ["Job"]}}]}
    file = tmp_path / "rules.yaml"
    file.write_text(_rules_of(rendered(ANCHORE | {"rules": rules})))
    read = load_rules(file)
    assert (str(read.default.mode), read.rules) == (audited, ())


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_a_default_that_asks_for_no_verdict_is_not_told_what_the_charts_asks(
    mode: str, tmp_path: Path
) -> None:
    """Helm lays an operator's default over that of values.yaml."""
    file = tmp_path / "rules.yaml"
    told: Values = {"enforcement": "enforce", "rules": {"default": {"mode": mode}}}
    file.write_text(_rules_of(rendered(ANCHORE | told)))
    assert str(load_rules(file).default.mode) == mode
    with pytest.raises(Refused, match="/rules/default"):
        render(ANCHORE | {"rules": {"default": {"mode": mode, "pin": "none"}}})
