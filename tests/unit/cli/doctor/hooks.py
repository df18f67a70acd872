"""Webhook configurations as an API server lists them, whole and with one thing wrong."""

from typing import Any

import msgspec

from services.cli.doctor.admission import Configuration

EXEMPT = ["kube-system", "imagegate"]


def selector(*names: str) -> dict[str, Any]:
    """Exempts namespaces by their names."""
    key = "kubernetes.io/metadata.name"
    return {"matchExpressions": [{"key": key, "operator": "NotIn", "values": list(names)}]}


def service(path: str = "/validate", **other: Any) -> dict[str, Any]:
    """The clientConfig of ours."""
    ours = {"namespace": "imagegate", "name": "imagegate-webhook", "port": 443, "path": path}
    return {"clientConfig": {"service": {**ours, **other}, "caBundle": ""}}


def hook(name: str, *rules: tuple[str, str], **more: Any) -> dict[str, Any]:
    """One webhook that is asked about (operation, resource)."""
    return {
        "name": name,
        **service(),
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": [operation],
                "resources": [resource],
                "scope": "Namespaced",
            }
            for operation, resource in rules
        ],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": 5,
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": selector(*EXEMPT),
        "objectSelector": {},
        **more,
    }


def judging(**more: Any) -> list[dict[str, Any]]:
    """The webhooks that judge; `more` of each."""
    return [
        hook(
            "create.imagegate.dev",
            ("CREATE", "pods"),
            ("UPDATE", "pods/ephemeralcontainers"),
            **more,
        ),
        hook("update.imagegate.dev", ("UPDATE", "pods"), **more),
    ]


def configuration(name: str, *hooks: dict[str, Any]) -> Configuration:
    """As it is read."""
    told = {"metadata": {"name": name, "uid": "1"}, "webhooks": list(hooks)}
    return msgspec.convert(told, Configuration)
