"""Whether imagegate is really asked: a pod that it must refuse, tried as a server-side dry run.

Its image is an id, which is refused before any rule and without a store (docs/design/behaviour.md
4): what else becomes of it tells who answered. It asks for nothing that a restricted namespace
would refuse on its own.
"""

from collections.abc import Collection

import msgspec

from services.cli.doctor.admission import Hook
from services.cli.doctor.remarks import Remark, bad, good, unasked, warn
from shared.ports.inspection import TrialPod
from shared.ports.webhook_configurations import OUR_WEBHOOKS

PART = "a pod on trial"

IMAGE = "0" * 64
NAME = "imagegate-doctor"

_FAILED = "failed calling webhook"

_WHY = (
    (
        "x509",
        "the API server does not believe the webhook's certificate: put its CA into caBundle, and "
        "see that the certificate names the Service (`imagegate webhooks apply`, docs/install.md)",
    ),
    ("certificate", "look at the certificate and at caBundle (docs/install.md)"),
    (
        "deadline exceeded",
        "the webhook does not answer in time, or cannot be reached: look at its pods and at what "
        "lies between (NetworkPolicy, firewall from the control plane to port 8443)",
    ),
    ("no endpoints", "no webhook is ready: look at its pods"),
    ("connection refused", "no webhook is ready: look at its pods"),
    ("not found", "the Service that is named is not there: install imagegate, or remove it whole"),
)


def trial_pod(namespace: str) -> bytes:
    """The pod, as JSON."""
    container = {
        "name": "probe",
        "image": IMAGE,
        "resources": {
            "requests": {"cpu": "1m", "memory": "1Mi"},
            "limits": {"cpu": "1m", "memory": "1Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {
                "containers": [container],
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            },
        }
    )


def trial_remark(
    result: TrialPod, *, namespace: str, hooks: Collection[Hook], exempt: Collection[str]
) -> Remark:
    """What it means, for who has installed these webhooks."""
    said = result.message
    if namespace in exempt:
        return unasked(PART, f"{namespace} is exempt: nothing there is judged", _ANOTHER)
    if OUR_WEBHOOKS in said and "denied the request" in said:
        return good(PART, f"imagegate was asked about a pod in {namespace}, and refused it")
    if _FAILED in said and OUR_WEBHOOKS in said:
        return bad(PART, f"the API server cannot ask imagegate: {said}", _advice(said))
    if result.status in (200, 201):
        return _let_in(namespace, hooks)
    if result.status == 404:
        return unasked(PART, f"there is no namespace {namespace}", _ANOTHER)
    return unasked(
        PART,
        f"the API server refused the pod before imagegate was heard ({result.status}: {said})",
        "use a kubeconfig whose user may create pods there, or name another --namespace",
    )


_ANOTHER = "name one in which pods are judged: --namespace"


def _let_in(namespace: str, hooks: Collection[Hook]) -> Remark:
    asking = [hook for hook in hooks if hook.covers("CREATE", "pods")]
    what = f"a pod in {namespace} that imagegate must refuse would be created"
    if asking and all(hook.failure_policy == "Ignore" for hook in asking):
        return warn(
            PART,
            f"{what}: imagegate did not answer, or lets everything in",
            "right for a time of audit, if `imagegate decisions` shows that it was asked; else "
            "look at the webhook's pods",
        )
    return bad(
        PART,
        f"{what}: it was not asked, or an emergency switch lets everything in",
        "look at the remarks on the webhook configuration, and at `imagegate status`",
    )


def _advice(said: str) -> str:
    return next(
        (todo for sign, todo in _WHY if sign in said),
        "look at the webhook's pods and their log",
    )
