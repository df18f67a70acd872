"""The webhook configurations of a cluster, as far as they are looked at.

Forms of `admissionregistration.k8s.io/v1`, with the API's own defaults; whatever else stands there
is left alone. Ours are known by the names of their webhooks (docs/design/behaviour.md 1).
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from shared.domain.label_selector import LabelSelector
from shared.ports.webhook_configurations import OUR_WEBHOOKS

NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server sets on each namespace, and that nobody can change."""

Strings = tuple[str, ...]


class Form(msgspec.Struct, frozen=True, rename="camel"):
    """Of the Kubernetes API."""


class ServiceName(Form, frozen=True):
    """Where the API server calls, in the cluster."""

    namespace: str
    name: str
    path: str = ""
    port: int = 443


class ClientConfig(Form, frozen=True):
    """Whom it calls, and by which CA it believes him (PEM in base64)."""

    service: ServiceName | None = None
    url: str = ""
    ca_bundle: str = ""

    @property
    def path(self) -> str:
        """What is asked there."""
        return self.service.path if self.service else urlsplit(self.url).path

    @property
    def where(self) -> str:
        """Who is asked: `NAMESPACE/SERVICE:PORT`, or `HOST:PORT` of a URL."""
        if self.service is None:
            return urlsplit(self.url).netloc
        return f"{self.service.namespace}/{self.service.name}:{self.service.port}"


class HookRule(Form, frozen=True):
    """What is asked about."""

    operations: Strings = ()
    api_groups: Strings = ()
    api_versions: Strings = ()
    resources: Strings = ()
    scope: str = "*"

    def covers(self, operation: str, resource: str, *, group: str = "") -> bool:
        """Whether a request of the group's v1, in a namespace, is one of these."""
        return (
            self.scope in ("*", "Namespaced")
            and not {"*", operation}.isdisjoint(self.operations)
            and not {"*", group}.isdisjoint(self.api_groups)
            and not {"*", "v1"}.isdisjoint(self.api_versions)
            and any(_names(pattern, resource) for pattern in self.resources)
        )


class Condition(Form, frozen=True):
    """In CEL."""

    name: str = ""
    expression: str = ""


class Hook(Form, frozen=True):
    """One webhook of a configuration."""

    name: str
    client_config: ClientConfig = ClientConfig()
    rules: tuple[HookRule, ...] = ()
    failure_policy: str = "Fail"
    match_policy: str = "Equivalent"
    side_effects: str = ""
    timeout_seconds: int = 10
    reinvocation_policy: str = "Never"
    namespace_selector: LabelSelector = LabelSelector()
    object_selector: LabelSelector = LabelSelector()
    match_conditions: tuple[Condition, ...] = ()

    def covers(self, operation: str, resource: str) -> bool:
        """Whether it is asked about `pods` or a subresource of theirs."""
        return any(rule.covers(operation, resource) for rule in self.rules)


class Named(Form, frozen=True):
    """Metadata, as far as it is looked at."""

    name: str = ""


class Configuration(Form, frozen=True):
    """A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration."""

    metadata: Named = Named()
    webhooks: tuple[Hook, ...] = ()

    @property
    def name(self) -> str:
        """Its own; the API server calls mutating ones in the order of these."""
        return self.metadata.name

    @property
    def ours(self) -> bool:
        """Whether it has a webhook of imagegate."""
        return any(hook.name.endswith(OUR_WEBHOOKS) for hook in self.webhooks)


def hooks_of(configurations: Iterable[Configuration]) -> tuple[Hook, ...]:
    """Our webhooks of all of them."""
    return tuple(
        hook
        for configuration in configurations
        for hook in configuration.webhooks
        if hook.name.endswith(OUR_WEBHOOKS)
    )


def _names(pattern: str, resource: str) -> bool:
    """As the API server reads `*`, `*/*`, `pods/*` and `*/ephemeralcontainers`."""
    kind, _, part = pattern.partition("/")
    wanted_kind, _, wanted_part = resource.partition("/")
    if pattern == "*":
        return not wanted_part
    return kind in ("*", wanted_kind) and part in ("*", wanted_part)
