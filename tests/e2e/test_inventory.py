"""What runs in a real cluster stays in use, and what its nodes are counts."""

from collections.abc import Iterator

import pytest

from tests.e2e.inventory_site import InventorySite
from tests.e2e.site import until

ARM_LATER = 180.0
"""Seconds: two looks, two surveys, and an analysis in between."""


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InventorySite]:
    with InventorySite(tmp_path_factory.mktemp("looked-at") / "files").running() as running:
        yield running


def test_the_chart_s_role_is_enough_to_look_and_lets_nobody_change_anything(
    looked_at: InventorySite,
) -> None:
    assert until(lambda: bool(looked_at.series("imagegate_running_pods"))), looked_at.worker.said()
    assert until(
        lambda: (
            'imagegate_cluster_nodes{platform="linux/amd64"} 1.0'
            in looked_at.series("imagegate_cluster_nodes")
        )
    )
    assert not [
        line
        for line in looked_at.series("imagegate_inventory_looks")
        if "done" not in line and not line.endswith(" 0.0")
    ]
    for verb, resource in (("create", "pods"), ("patch", "nodes"), ("get", "secrets")):
        asked = looked_at.cluster.kubectl(
            *("auth", "can-i", verb, resource),
            "--as=system:serviceaccount:default:imagegate-worker",
        )
        assert asked.out.strip() == "no"


def test_an_image_that_ran_before_anybody_was_asked_is_in_use(looked_at: InventorySite) -> None:
    # kube-system is exempt: nobody is asked about this pod.
    made = looked_at.run("registry.example/old/app:1", "kube-system", name="old")
    assert made.code == 0, made

    def marked() -> bool:
        return 'imagegate_images_in_use{stand="unknown"} 1.0' in looked_at.series(
            "imagegate_images_in_use"
        )

    assert until(marked, within=120), looked_at.series("imagegate_")


def test_a_node_of_another_platform_has_a_bad_manifest_for_it_refused_in_the_end(
    looked_at: InventorySite,
) -> None:
    team = looked_at.namespace("arm-comes")
    image = looked_at.judged(looked_at.many_image("team/many:1"))
    first = looked_at.run(image, team, name="first")
    assert first.code == 0, first

    looked_at.node("arm-1", "linux/arm64")

    def refused() -> bool:
        again = looked_at.run(image, team, "--dry-run=server", name="again")
        return "refused by policy" in again.err and "openssh-server" in again.err

    assert until(refused, within=ARM_LATER), looked_at.worker.said()
    # Told by the look after that.
    judged = 'imagegate_cluster_platforms{platform="linux/arm64",state="judged"} 1.0'
    assert until(lambda: judged in looked_at.series("imagegate_cluster_platforms"))
    explained = looked_at.imagegate("explain", image)
    assert "nodes of the cluster: linux/amd64, linux/arm64" in explained.out, explained
