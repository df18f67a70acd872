"""The webhook configurations of a cluster, as far as they are looked at.

Forms of `admissionregistration.k8s.io/v1`, with the API's own defaults; whatever else stands there
is left alone. Ours are known by the names of their webhooks (docs/design/behaviour.md 1).
"""

from collections.abc import Iterable

import msgspec

OURS = ".imagegate.dev"
"""How the names of our webhooks end."""

NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server sets on each namespace, and that nobody can change."""

Strings = tuple[str, ...]


class Form(msgspec.Struct, frozen=True, rename="camel"):
    """Of the Kubernetes API."""


class ServiceName(Form, frozen=True):
    """Where the API server calls, in the cluster."""

    namespace: str
    name: str


class ClientConfig(Form, frozen=True):
    """Whom it calls, and by which CA it believes him (PEM in base64)."""

    service: ServiceName | None = None
    url: str = ""
    ca_bundle: str = ""


class HookRule(Form, frozen=True):
    """What is asked about."""

    operations: Strings = ()
    api_groups: Strings = ()
    resources: Strings = ()

    def covers(self, operation: str, resource: str) -> bool:
        """Whether a request of the core group is one of these."""
        return (
            not {"*", operation}.isdisjoint(self.operations)
            and not {"*", ""}.isdisjoint(self.api_groups)
            and any(_names(pattern, resource) for pattern in self.resources)
        )


class Expression(Form, frozen=True):
    """One requirement of a selector."""

    key: str
    operator: str
    values: Strings = ()


class Selector(Form, frozen=True):
    """Of labels."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[Expression, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.match_labels and not self.match_expressions


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
    namespace_selector: Selector = Selector()
    object_selector: Selector = Selector()
    match_conditions: tuple[Condition, ...] = ()

    def covers(self, operation: str, resource: str) -> bool:
        """Whether it is asked about `pods` or a subresource of theirs."""
        return any(rule.covers(operation, resource) for rule in self.rules)

    @property
    def exempt(self) -> frozenset[str]:
        """The namespaces that are named as not asked about."""
        return frozenset(
            value
            for each in self.namespace_selector.match_expressions
            if each.key == NAME_LABEL and each.operator == "NotIn"
            for value in each.values
        )


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
        return any(hook.name.endswith(OURS) for hook in self.webhooks)


def hooks_of(configurations: Iterable[Configuration]) -> tuple[Hook, ...]:
    """Our webhooks of all of them."""
    return tuple(
        hook
        for configuration in configurations
        for hook in configuration.webhooks
        if hook.name.endswith(OURS)
    )


def exempt_from(hooks: Iterable[Hook]) -> frozenset[str]:
    """The namespaces in which no pod is judged: those that every webhook for pods leaves out."""
    named = [hook.exempt for hook in hooks if hook.covers("CREATE", "pods")]
    return frozenset.intersection(*named) if named else frozenset()


def _names(pattern: str, resource: str) -> bool:
    """As the API server reads `*`, `*/*`, `pods/*` and `*/ephemeralcontainers`."""
    kind, _, part = pattern.partition("/")
    wanted_kind, _, wanted_part = resource.partition("/")
    if pattern == "*":
        return not wanted_part
    return kind in ("*", wanted_kind) and part in ("*", wanted_part)
