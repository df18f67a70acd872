"""What an upgrade of the chart keeps: secrets, certificates, and the number of pods."""

import json
import time
from typing import Any

import pytest

from tests.e2e.installation import HERE, Installation

pytestmark = pytest.mark.timeout(900)

HELM = "helm.sh/release.v1"


def test_what_helm_makes_is_kept_over_upgrades(installation: Installation) -> None:
    """Certificate, keys and passwords of a trial."""
    installation.cluster.kubectl("delete", "secret", "imagegate-webhook-tls", f"--namespace={HERE}")

    def secrets() -> dict[str, Any]:
        found = installation.cluster.get("secrets", namespace=HERE)["items"]
        return {one["metadata"]["name"]: one["data"] for one in found if one["type"] != HELM}

    told: dict[str, Any] = {"trial": {"enabled": True}, "certificates": {"from": "helm"}}
    told |= {"enforcement": "none", "webhooks": {}}
    installation.done("install", **told)
    first = secrets()
    assert {"imagegate-trial", "imagegate-webhook-tls", "imagegate-redis"} <= set(first)
    installation.done("upgrade", **told)
    assert secrets() == first
    # One that is nearly over is made anew, by the same CA: another would be believed by nobody yet.
    told["certificates"] = {"from": "helm", "helm": {"days": 3650, "renewBeforeDays": 2000}}
    installation.done("upgrade", **told)
    shown = secrets()["imagegate-webhook-tls"]
    assert shown["tls.crt"] != first["imagegate-webhook-tls"]["tls.crt"]
    assert shown["ca.crt"] == first["imagegate-webhook-tls"]["ca.crt"]
    for days, kept in ((300, True), (3, False)):
        ends = f"imagegate.dev/ends={int(time.time()) + days * 86400}"
        annotate = ("annotate", "secret", "imagegate-webhook-ca", ends, "--overwrite")
        assert installation.cluster.kubectl(*annotate, f"--namespace={HERE}").code == 0
        installation.done("upgrade", "--force-conflicts", **told)
        found = secrets()
        assert (found["imagegate-webhook-ca"] == first["imagegate-webhook-ca"]) is kept
        assert found["imagegate-webhook-tls"]["ca.crt"] == found["imagegate-webhook-ca"]["tls.crt"]


@pytest.mark.parametrize("server_side", ["true", "false"])
def test_autoscaling_takes_over_as_many_webhooks_as_there_are(
    installation: Installation, server_side: str
) -> None:
    """Whether Helm applies at the server (4) or compares with what it applied last (3)."""
    fixed: dict[str, Any] = {"enforcement": "none"}
    scaling = {"enabled": True, "minReplicas": 2, "maxReplicas": 9}
    scaled = fixed | {"webhook": {"replicas": 4, "autoscaling": scaling}}
    how = f"--server-side={server_side}"
    deployment = ("deployment", "imagegate-webhook")

    def replicas() -> int:
        found = installation.cluster.get(*deployment, namespace=HERE)
        return int(found["spec"]["replicas"])

    installation.done("install", how, **scaled)
    assert replicas() == 2
    installation.done("upgrade", how, **fixed, webhook={"replicas": 4})
    assert replicas() == 4
    for there in (4, 4, 5, 5):
        told = installation.cluster.kubectl(
            "scale", *deployment, f"--replicas={there}", f"--namespace={HERE}"
        )
        assert told.code == 0, told
        installation.done("upgrade", how, **scaled)
        assert replicas() == there


def test_a_certificate_that_was_brought_goes_not_with_the_one_that_helm_made(
    installation: Installation,
) -> None:
    told: dict[str, Any] = {"enforcement": "none", "webhooks": {}}
    tls = ("secret", "imagegate-webhook-tls", f"--namespace={HERE}")
    brought = installation.cluster.get(*tls[:2], namespace=HERE)["data"]
    installation.cluster.kubectl("delete", *tls)
    installation.done("install", **told, certificates={"from": "helm"})
    patch = f"--patch={json.dumps({'data': brought})}"
    assert installation.cluster.kubectl("patch", *tls, patch).code == 0
    ran = installation.helm("upgrade", **told, certificates={"from": "secret"})
    assert "set certificates.secretName to that" in ran.err, ran
    assert installation.cluster.get(*tls[:2], namespace=HERE)["data"] == brought
    other = {"from": "secret", "secretName": "mine"}
    installation.done("upgrade", **told, certificates=other)
    assert installation.cluster.kubectl("get", *tls).code != 0
    installation.done("upgrade", **told, certificates={"from": "secret"})
