"""The chart, installed in a real cluster by the real Helm: when the API server begins and ceases to
ask, and that no pod ever waits for a webhook that is not there."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.examples import FOLDER as EXAMPLES
from tests.deploy.secrets import make_cluster_secrets, shell_blocks
from tests.e2e.installation import CHART, CONFIGURATIONS, HERE, THERE, Installation, People
from tests.e2e.site import until
from tests.fakes.certificates import server_certificate
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.kubernetes_processes import PERSON

pytestmark = pytest.mark.timeout(900)

LOCKED = "failed calling webhook"
"""What everybody reads whose pod waits for a webhook that is not there."""

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-edit"


def test_nobody_is_asked_before_the_webhooks_answer_and_nobody_waits_for_them_afterwards(
    installation: Installation,
) -> None:
    """From nothing over audit and enforce back to nothing, while somebody makes pods."""
    with People(installation) as people:
        installation.done("install", enforcement="none")
        assert installation.policies() == {}
        installation.done("upgrade", enforcement="audit")
        ignore = ["Ignore", "Ignore", "Ignore"], ["Ignore", "Ignore"]
        assert installation.policies() == dict(zip(CONFIGURATIONS, ignore, strict=True))
        # Nobody answers there: each pod passes all the same.
        assert installation.pod().code == 0
        with installation.webhook():
            assert until(lambda: people.made > 5)
            assert people.refused == []
            installation.done("upgrade", enforcement="enforce")
            assert installation.policies()[CONFIGURATIONS[0]] == ["Fail", "Fail", "Ignore"]
            assert until(lambda: installation.pod().code != 0), installation.kubelet.said
            installation.done("rollback", "2")
            assert installation.policies() == dict(zip(CONFIGURATIONS, ignore, strict=True))
            assert until(lambda: installation.pod().code == 0)
            installation.done("upgrade", enforcement="enforce")
            installation.done("uninstall")
            assert installation.policies() == {}
        assert installation.pod().code == 0
    assert [said for said in people.refused if LOCKED in said] == []
    assert people.refused, "it enforced for a time"
    assert all("registry.corp/app:1" in said for said in people.refused), people.refused[:3]


def test_what_is_kept_in_step_does_not_come_back_once_it_was_taken_away(
    installation: Installation,
) -> None:
    """The hourly Job may run while the release is removed."""
    cluster = installation.cluster

    def hour(name: str) -> Ran:
        where = (f"--namespace={HERE}", "--timeout=120s")
        made = cluster.kubectl("create", "job", name, "--from=cronjob/imagegate-webhooks", where[0])
        assert made.code == 0, made
        return cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", *where)

    step = {"keepInStep": {"enabled": True}}
    installation.values["webhooks"] |= step
    installation.done("install", enforcement="none")
    with installation.webhook():
        installation.done("upgrade", enforcement="enforce")
        validating = CONFIGURATIONS[0].split("/")
        off = '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]'
        relaxed = cluster.kubectl("patch", *validating, "--type=json", f"--patch={off}")
        assert relaxed.code == 0, relaxed
        assert (ran := hour("first")).code == 0, (ran, installation.kubelet.said)
        assert installation.policies()[CONFIGURATIONS[0]] == ["Fail", "Fail", "Ignore"]
        assert cluster.kubectl("delete", *CONFIGURATIONS).code == 0
        assert (ran := hour("second")).code == 0, (ran, installation.kubelet.said)
        assert installation.policies() == {}


def test_an_upgrade_whose_webhooks_do_not_come_up_fails_and_changes_nothing_that_is_asked(
    installation: Installation,
) -> None:
    installation.kubelet.serving = False
    installation.values["webhooks"] |= {"waitSeconds": 5}
    installation.done("install", enforcement="audit")
    before = installation.policies()
    ran = installation.helm("upgrade", enforcement="enforce")
    assert ran.code != 0, ran
    assert installation.policies() == before
    said = installation.kubelet.said[-1]
    assert "0 pods are available" in said
    assert "the webhook configurations are as they were" in said
    assert installation.pod().code == 0


def test_where_pods_are_ready_and_their_certificate_is_not_believed_nothing_is_enforced(
    installation: Installation, tmp_path: Path
) -> None:
    other, _ = server_certificate(tmp_path / "other")
    installation.values["webhooks"] |= {"waitSeconds": 5}
    data = {"data": {"ca.crt": base64.b64encode(other.read_bytes()).decode()}}
    patched = installation.cluster.kubectl(
        *("patch", "secret", "imagegate-webhook-tls", f"--namespace={HERE}"),
        f"--patch={json.dumps(data)}",
    )
    assert patched.code == 0, patched
    installation.done("install", enforcement="none")
    with installation.webhook():
        assert installation.helm("upgrade", enforcement="enforce").code != 0
    assert installation.policies() == {}
    assert "shows a certificate that is not believed" in installation.kubelet.said[-1]


def test_a_cluster_whose_webhooks_died_is_freed_by_audit_though_they_never_come_back(
    installation: Installation,
) -> None:
    installation.done("install", enforcement="none")
    with installation.webhook():
        installation.done("upgrade", enforcement="enforce")
    assert LOCKED in installation.pod().err
    installation.kubelet.serving = False
    ran = installation.helm("upgrade", enforcement="audit", webhook={"podLabels": {"a": "b"}})
    assert ran.code == 0, (ran, installation.kubelet.said)
    assert installation.pod().code == 0
    installation.done("upgrade", enforcement="none")
    assert installation.policies() == {}


def test_the_configurations_of_another_installation_are_left_alone(
    installation: Installation,
) -> None:
    installation.done("install", enforcement="audit")
    annotate = ("annotate", "--overwrite", "imagegate.dev/installation=there/theirs")
    told = installation.cluster.kubectl(annotate[0], CONFIGURATIONS[0], *annotate[1:])
    assert told.code == 0, told
    installation.values["webhooks"] |= {"waitSeconds": 5}
    assert installation.helm("upgrade", enforcement="audit").code != 0
    assert "belongs to the installation there/theirs" in installation.kubelet.said[-1]


def test_the_notes_name_a_server_whose_namespace_is_not_exempt(installation: Installation) -> None:
    told = {"enforcement": "none", "anchore": {"url": "http://anchore.scanners.svc:8228"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "imagegate-webhook"},
        # A password that is in no URL as the book has it; our own reader takes it.
        "stringData": {"redis-url": "redis://u:secr%t@redis.data.svc.cluster.local:6379/0"},
    }
    assert installation.cluster.apply(secret, namespace=HERE).code == 0
    ran = installation.helm("install", **told)
    assert "redis-url names redis.data.svc.cluster.local" in ran.out, ran
    assert "anchore.url names anchore.scanners.svc" in ran.out, ran
    assert "secr%t" not in ran.out + ran.err, ran
    ran = installation.helm("upgrade", **told, dependencyNamespaces=["data", "scanners"])
    assert "WARNING" not in ran.out, ran
    installation.cluster.kubectl("delete", "secret", "imagegate-webhook", f"--namespace={HERE}")


IMAGES = [
    ("docker.io/library/nginx:1", True),
    ("nginx", True),
    ("index.docker.io/library/nginx", True),
    ("team/app", True),
    ("Team/app", False),
    ("evil.io/app", False),
    ("localhost/app", False),
    ("registry.corp:5000/app", False),
    ("registry.corp/app", True),
]


NAMESPACES = ["namespaces", "namespaces/status", "namespaces/finalize"]


def places(image: str) -> list[dict[str, Any]]:
    """Pod specs that name the image, each in another place."""
    good = {"name": "good", "image": "registry.corp/good"}
    one = {"name": "one", "image": image}
    volume = {"name": "data", "image": {"reference": image}}
    return [
        {"containers": [good, one]},
        {"containers": [good], "initContainers": [one]},
        {"containers": [good], "volumes": [volume]},
    ]


def test_the_second_line_and_the_guard_hold_without_any_webhook(
    installation: Installation,
) -> None:
    cluster = installation.cluster
    installation.done(
        "install",
        enforcement="none",
        dependencyNamespaces=["data"],
        secondLine={"enabled": True, "registries": ["docker.io", "registry.corp"]},
        exemptLabel={"enabled": True},
        guard={"enabled": True, "groups": ["admins"], "users": ["admin"]},
    )

    def tried(spec: dict[str, Any], namespace: str = THERE) -> Ran:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
        options = (f"--namespace={namespace}", "--dry-run=server", "--filename=-")
        return cluster.kubectl("create", *options, stdin=json.dumps(pod))

    assert until(lambda: tried(places("evil.io/app")[0]).code != 0)
    for image, passes in IMAGES:
        for spec in places(image):
            ran = tried(spec)
            assert (ran.code == 0) is passes, (image, spec, ran)
    said = tried(places("evil.io/app")[0]).err
    assert "registries that this cluster allows (docker.io, registry.corp)" in said
    assert tried(places("evil.io/app")[0], HERE).code == 0

    # An ephemeral container, and labels of a pod that was there before.
    made = cluster.kubectl("run", "old", "--image=registry.corp/a", f"--namespace={THERE}")
    assert made.code == 0, made
    debug = ("debug", "old", "--attach=false", f"--namespace={THERE}", "--image")
    assert "registries that this cluster allows" in cluster.kubectl(*debug, "evil.io/sh").err
    assert cluster.kubectl("label", "pod", "old", "a=b", f"--namespace={THERE}").code == 0
    cluster.kubectl("delete", "pod", "old", "--now", f"--namespace={THERE}")

    # Who may make a namespace exempt.
    rights = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "namespaces", "labels": {AGGREGATE: "true"}},
        "rules": [{"apiGroups": [""], "resources": NAMESPACES, "verbs": ["*"]}],
    }
    assert cluster.apply(rights).code == 0
    assert until(lambda: cluster.kubectl("auth", "can-i", "create", "ns", user=PERSON).code == 0)
    refused = cluster.kubectl("create", "namespace", "data", "--dry-run=server", user=PERSON)
    assert "nothing in this namespace would be judged by imagegate" in refused.err, refused
    mine = ("create", "namespace", "mine", "--dry-run=server")
    assert cluster.kubectl(*mine, user=PERSON).code == 0
    exempts = ("label", "namespace", THERE, "imagegate.dev/exempt=true", "--dry-run=server")
    assert "would be judged by imagegate" in cluster.kubectl(*exempts, user=PERSON).err
    # A label comes by a subresource as well.
    status = (
        *("patch", "namespace", THERE, "--subresource=status", "--type=merge"),
        *("--patch", '{"metadata":{"labels":{"imagegate.dev/exempt":"true"}}}'),
        "--dry-run=server",
    )
    assert "would be judged by imagegate" in cluster.kubectl(*status, user=PERSON).err
    finalize = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": THERE, "labels": {"imagegate.dev/exempt": "true"}},
            "spec": {"finalizers": ["kubernetes"]},
        }
    )
    raw = ("replace", "--filename=-", f"--raw=/api/v1/namespaces/{THERE}/finalize?dryRun=All")
    finalized = cluster.kubectl(*raw, user=PERSON, stdin=finalize)
    assert "would be judged by imagegate" in finalized.err, finalized
    assert cluster.kubectl(*exempts).code == 0
    assert cluster.kubectl("create", "namespace", "data", "--dry-run=server").code == 0


def test_the_examples_are_taken_by_an_api_server_that_takes_no_unknown_field(
    own_cluster: KubernetesServer,
) -> None:
    """All but cert-manager's objects, which this cluster does not know."""
    for file in sorted(EXAMPLES.glob("*.yaml")):
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        known = [one for one in objects if not one["apiVersion"].startswith("cert-manager.io/")]
        options = ("--dry-run=server", "--validate=strict", "--filename=-")
        ran = own_cluster.kubectl("apply", *options, stdin=yaml.safe_dump_all(known))
        assert ran.code == 0, (file.name, ran)
        assert len(ran.out.splitlines()) == len(known)


def test_the_secrets_are_made_as_the_instructions_tell(
    own_cluster: KubernetesServer, tmp_path: Path
) -> None:
    """kubectl's lines of docs/install.md, and every Secret that the chart's pods mount is there."""
    instructions = CHART.parents[1] / "docs" / "install.md"
    make_cluster_secrets(tmp_path, instructions)
    _, making, *_ = shell_blocks(instructions)
    assert (made := own_cluster.kubectl("create", "namespace", "told")).code == 0, made
    for line in making.replace("-n imagegate create", "-n told create").splitlines()[2:]:
        ran = own_cluster.kubectl(*(_in_folder(word, tmp_path) for word in line.split()[1:]))
        assert ran.code == 0, (line, ran)
    secrets = own_cluster.get("secrets", namespace="told")["items"]
    services = ("webhook", "worker", "worker-keys", "intake", "console")
    assert {one["metadata"]["name"] for one in secrets} == {f"imagegate-{one}" for one in services}


def _in_folder(word: str, folder: Path) -> str:
    """A `--from-file` that names its file by its whole path."""
    if not word.startswith("--from-file="):
        return word
    key, _, file = word.removeprefix("--from-file=").rpartition("=")
    return f"--from-file={key or file}={folder / file}"
