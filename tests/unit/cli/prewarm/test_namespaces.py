"""Which namespaces are exempt, and whose labels are known."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from services.cli.prewarm.namespaces import Namespaces, namespaces_of
from shared.adapters.memory.cluster import MemoryCluster
from shared.domain.errors import ClusterMisconfigured
from shared.domain.glob import Glob
from shared.domain.label_selector import LabelSelector, Requirement
from shared.ports.workloads import Template

NOT_INFRA = LabelSelector(
    match_expressions=(
        Requirement("kubernetes.io/metadata.name", "NotIn", ("kube-system", "redis")),
    )
)


class Judged:
    """A cluster whose webhooks are called for these."""

    kinds: Sequence[str] = ()

    def __init__(self, *selectors: LabelSelector, error: Exception | None = None) -> None:
        self._selectors = selectors
        self._error = error

    async def templates(self, kind: str) -> AsyncGenerator[Sequence[Template], None]:
        templates: Sequence[Sequence[Template]] = ()
        for page in templates:
            yield page

    async def judged(self) -> Sequence[LabelSelector]:
        if self._error:
            raise self._error
        return self._selectors


@pytest.mark.parametrize(
    ("namespace", "exempt"), [("shop", False), ("kube-system", True), ("redis", True)]
)
async def test_what_no_webhook_is_called_for_is_exempt(namespace: str, *, exempt: bool) -> None:
    cluster = MemoryCluster()
    cluster.namespace(namespace, {})
    spaces, notes = await namespaces_of(cluster, Judged(NOT_INFRA), given=None, exempt=())
    assert (spaces.is_exempt(namespace), notes) == (exempt, ())


def test_what_one_of_several_webhooks_is_called_for_is_judged() -> None:
    labelled = LabelSelector(match_labels={"judge": "yes"})
    spaces = Namespaces({"redis": {"judge": "yes"}}, judged=(NOT_INFRA, labelled))
    assert not spaces.is_exempt("redis")


def test_one_whose_labels_nobody_knows_is_exempt_by_its_name_alone() -> None:
    """Of manifests for a namespace that is to come: nothing of it would be judged otherwise, and
    all be well."""
    labelled = LabelSelector(match_labels={"judge": "yes"})
    spaces = Namespaces({"there": {}}, judged=(labelled,))
    assert [spaces.is_exempt(each) for each in ("there", "new")] == [True, False]
    assert Namespaces({}, given={}, judged=(labelled,)).is_exempt("new")
    by_name = Namespaces({}, judged=(NOT_INFRA,))
    assert [by_name.is_exempt(each) for each in ("redis", "new")] == [True, False]


def test_where_our_webhooks_are_not_there_it_is_kube_system_alone() -> None:
    spaces = Namespaces({}, judged=())
    assert [spaces.is_exempt(each) for each in ("kube-system", "kube-public")] == [True, False]


def test_others_may_be_named() -> None:
    spaces = Namespaces({}, judged=(NOT_INFRA,), exempt=(Glob("lab-*"),))
    assert [spaces.is_exempt(each) for each in ("lab-1", "shop")] == [True, False]


async def test_configurations_that_may_not_be_read_are_told_and_end_nothing() -> None:
    workloads = Judged(error=ClusterMisconfigured("403"))
    spaces, (note,) = await namespaces_of(MemoryCluster(), workloads, given=None, exempt=())
    assert spaces.is_exempt("kube-system")
    assert "which namespaces are exempt is not known" in note
    assert "403" in note


def test_labels_that_are_given_count_where_no_cluster_tells_any() -> None:
    """A namespace without labels is known to have none."""
    spaces = Namespaces({"shop": {"tier": "prod"}, "bare": {}}, given={"tier": "lab"})
    assert spaces.labels_of("shop") == {"tier": "prod"}
    assert spaces.labels_of("bare") == {}
    assert spaces.labels_of("new") == {"tier": "lab"}
    assert Namespaces({}).labels_of("new") is None
