"""The pods of the show, as a ReplicaSet's controller or a person would create them."""

from typing import Any

from services.cli.defaults import with_defaults
from services.cli.reviews import REPLICASET_CONTROLLER, Asker, review_of
from services.cli.show.images import ShowImage

NAMESPACE = "show"
PERSON = Asker("alice@example.com", ("developers", "system:authenticated"))


def review_of_image(image: ShowImage, *, registry: str) -> dict[str, Any]:
    """The AdmissionReview of a pod that runs `image` from the registry `host:port`."""
    by_person = image.asker == "person"
    pod = _pod(image, registry=registry, owned=not by_person)
    return review_of(pod, asker=PERSON if by_person else REPLICASET_CONTROLLER)


def _pod(image: ShowImage, *, registry: str, owned: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": NAMESPACE,
        "labels": {"app": image.name, "pod-template-hash": "5d4f8c7b9"},
    }
    if owned:
        # The API server makes the name of such a pod after admission.
        metadata["generateName"] = f"{image.name}-5d4f8c7b9-"
        metadata["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": f"{image.name}-5d4f8c7b9",
                "uid": "0a8f5a3e-5b52-4d0c-9a53-0f4f6c3c9d11",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    else:
        metadata["name"] = image.name
    container = {
        "name": "main",
        "image": f"{registry}/{image.reference}",
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return with_defaults(pod | {"status": {}}, namespace=NAMESPACE)
