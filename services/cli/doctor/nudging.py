"""Whether the right to nudge is held to one annotation (docs/adr/0029-webhooks-nudge-owners.md).

Who may patch the status of a workload may give it an owner that is not there, and the garbage
collector deletes it with its pods: only a ValidatingAdmissionPolicy keeps the webhook from that.
"""

from collections.abc import Collection, Iterator

from services.cli.doctor.access import Binding, RbacSubject
from services.cli.doctor.admission import Condition, Form, HookRule, Named, Strings
from services.cli.doctor.conditions import bare
from services.cli.doctor.remarks import Remark, bad, good
from shared.domain.label_selector import LabelSelector

PART = "nudges"
NAME = "imagegate-nudge"
"""Of role, policy and its binding."""

TOUCHED = (
    ("apps", "replicasets/status"),
    ("apps", "statefulsets/status"),
    ("apps", "daemonsets/status"),
    ("batch", "jobs/status"),
    ("", "replicationcontrollers/status"),
)

VARIABLES = frozenset(
    {
        ("before", bare("oldObject.metadata.?annotations.orValue({})")),
        ("after", bare("object.metadata.?annotations.orValue({})")),
    }
)
VALIDATIONS = frozenset(
    map(
        bare,
        (
            "object.?status == oldObject.?status",
            "object.metadata.?labels == oldObject.metadata.?labels"
            " && object.metadata.?finalizers == oldObject.metadata.?finalizers"
            " && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences",
            "variables.before.all(key, key in variables.after) && variables.after.all(key,"
            " key == 'imagegate.dev/nudged'"
            " || (key in variables.before && variables.before[key] == variables.after[key]))",
        ),
    )
)
"""The chart's, the only ones that are known to leave nothing but the annotation."""

_AGAIN = (
    "helm upgrade, or apply k8s/examples again; else take the right away: "
    f"`kubectl delete clusterrolebinding {NAME}`, and set nudge.enabled=false"
)


class NamedRule(HookRule, frozen=True):
    """What a policy is asked about; with names only those objects."""

    resource_names: Strings | None = None


class Matched(Form, frozen=True):
    """Which requests; nothing at all leaves none out."""

    resource_rules: tuple[NamedRule, ...] | None = None
    exclude_resource_rules: tuple[NamedRule, ...] | None = None
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None

    @property
    def leaves_out(self) -> bool:
        """Whether something besides `resource_rules` chooses among requests."""
        selectors = (self.namespace_selector, self.object_selector)
        return bool(self.exclude_resource_rules) or any(
            each is not None and bool(each.match_labels or each.match_expressions)
            for each in selectors
        )

    def covers(self, group: str, resource: str) -> bool:
        """Whether each update of it, everywhere, is one."""
        return not self.leaves_out and any(
            not each.resource_names and each.covers("UPDATE", resource, group=group)
            for each in self.resource_rules or ()
        )


class PolicySpec(Form, frozen=True):
    """Of a ValidatingAdmissionPolicy."""

    failure_policy: str = "Fail"
    match_constraints: Matched = Matched()
    match_conditions: tuple[Condition, ...] | None = None
    variables: tuple[Condition, ...] | None = None
    validations: tuple[Condition, ...] | None = None


class Policy(Form, frozen=True):
    """A ValidatingAdmissionPolicy."""

    metadata: Named = Named()
    spec: PolicySpec = PolicySpec()


class PolicyBindingSpec(Form, frozen=True):
    """What is done by it, and where."""

    policy_name: str = ""
    validation_actions: Strings = ()
    match_resources: Matched | None = None


class PolicyBinding(Form, frozen=True):
    """A ValidatingAdmissionPolicyBinding."""

    spec: PolicyBindingSpec = PolicyBindingSpec()

    @property
    def denies(self) -> bool:
        """Whether it is ours, and refuses everywhere."""
        where = self.spec.match_resources
        everywhere = where is None or not (where.leaves_out or where.resource_rules)
        return (
            self.spec.policy_name == NAME and "Deny" in self.spec.validation_actions and everywhere
        )


def nudgers(bindings: Collection[Binding]) -> frozenset[RbacSubject]:
    """Who has the right to nudge, by whatever binding."""
    return frozenset(
        subject
        for binding in bindings
        if (binding.role_ref.kind, binding.role_ref.name) == ("ClusterRole", NAME)
        for subject in binding.subjects or ()
    )


def nudging_remarks(
    may: Collection[RbacSubject],
    policies: Collection[Policy],
    bindings: Collection[PolicyBinding],
) -> Iterator[Remark]:
    """`may`: who has the right, at least one."""
    policy = next((each for each in policies if each.metadata.name == NAME), None)
    wrong = (
        f"there is no ValidatingAdmissionPolicy {NAME}"
        if policy is None
        else _lacking(policy.spec, may)
    )
    if not wrong and not any(each.denies for each in bindings):
        wrong = f"no ValidatingAdmissionPolicyBinding has {NAME} deny everywhere"
    if not wrong:
        yield good(PART, "the policy leaves whoever nudges one annotation of a workload")
        return
    names = ", ".join(sorted(each.shown for each in may))
    yield bad(
        PART,
        f"{names} may patch the status of every workload, by which it can be had deleted, and "
        f"nothing holds that to one annotation: {wrong}",
        _AGAIN,
    )


def _lacking(spec: PolicySpec, may: Collection[RbacSubject]) -> str:
    """What lets something through; empty: nothing."""
    if spec.failure_policy != "Fail":
        return f"the policy {NAME} has failurePolicy {spec.failure_policy}"
    missed = [name for group, name in TOUCHED if not spec.match_constraints.covers(group, name)]
    if missed:
        return f"the policy {NAME} is not asked about each {', '.join(missed)}"
    conditions = {bare(each.expression) for each in spec.match_conditions or ()}
    # Several conditions must all be true.
    others = [
        each.shown
        for each in may
        if conditions and (each.kind != "ServiceAccount" or conditions != {_is(each)})
    ]
    if others:
        return f"the policy {NAME} is not about {', '.join(sorted(others))}"
    known = {(each.name, bare(each.expression)) for each in spec.variables or ()}
    asked = {bare(each.expression) for each in spec.validations or ()}
    if not (known >= VARIABLES and asked >= VALIDATIONS):
        return f"what the policy {NAME} asks for is not what the chart has it ask"
    return ""


def _is(account: RbacSubject) -> str:
    user = f"system:serviceaccount:{account.namespace}:{account.name}"
    return bare(f"request.userInfo.username == '{user}'")
