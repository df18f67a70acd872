"""The chart's second line, judged by the API server itself, which ends what costs it too much: of a
pod with very many containers no image gets past, and the pod stays changeable. An image id is no
name of docker.io's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.site import until
from tests.servers.kubernetes import KubernetesServer, Ran

CHART = Path(__file__).parents[2] / "k8s" / "chart"
MANY = 1_000
ALLOWED = "registry.corp"
REGISTRIES = (ALLOWED, "docker.io")


def second_line(cluster: KubernetesServer, namespace: str) -> list[dict[str, Any]]:
    """The policy and its binding, to that namespace alone."""
    values = (
        "--set=secondLine.enabled=true",
        f"--set=secondLine.registries={{{','.join(REGISTRIES)}}}",
    )
    printed = cluster.helm(
        *("template", "imagegate", str(CHART), "--namespace=imagegate", *values),
        *(
            "--set=enforcement=none",
            f"--set=anchore.url=http://a.test,image.repository={ALLOWED}/i",
        ),
        "--show-only=templates/policies.yaml",
    )
    assert printed.code == 0, printed
    policy, binding = yaml.safe_load_all(printed.out)
    where = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    where.append({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]})
    return [policy, binding]


class Team:
    """Somebody who makes pods of very many containers."""

    def __init__(self, cluster: KubernetesServer, namespace: str) -> None:
        self._cluster = cluster
        self._where = f"--namespace={namespace}"

    def makes(self, name: str, *images: str, dry: bool = True) -> Ran:
        containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "finalizers": ["example.test/held"]},
            "spec": {"containers": containers},
        }
        options = ("--dry-run=server",) if dry else ()
        create = ("create", self._where, "--filename=-", *options)
        return self._cluster.kubectl(*create, stdin=json.dumps(pod))

    def changes(self, name: str, patch: dict[str, Any], kind: str = "strategic") -> Ran:
        command = ("patch", "pod", name, self._where, f"--type={kind}")
        return self._cluster.kubectl(*command, f"--patch={json.dumps(patch)}")

    def deletes(self, name: str) -> Ran:
        return self._cluster.kubectl("delete", "pod", name, self._where, "--now")


def images(registry: str) -> list[str]:
    return [f"{registry}/some/long/path/of/a/team/app-{number}:1.0.0" for number in range(MANY)]


@pytest.fixture
def team(cluster: KubernetesServer, namespace: str) -> Iterator[Team]:
    """It has a pod from before the second line, which would be refused now."""
    one = Team(cluster, namespace)
    assert (made := one.makes("old", *images("evil.test"), dry=False)).code == 0, made
    line = second_line(cluster, namespace)
    assert (applied := cluster.apply(*line)).code == 0, applied
    assert until(lambda: one.makes("p", "evil.test/app:1").code != 0)
    yield one
    names = [f"{each['kind']}/{each['metadata']['name']}" for each in line]
    cluster.kubectl("delete", *names, "--ignore-not-found")
    one.changes("old", {"metadata": {"finalizers": None}}, "merge")


def test_one_image_of_very_many_is_found(team: Team) -> None:
    good = images(ALLOWED)
    assert (made := team.makes("p", *good)).code == 0, made
    for place in (0, MANY // 2, MANY - 1):
        spoilt = [*good[:place], "evil.test/app:1", *good[place + 1 :]]
        refused = team.makes("p", *spoilt)
        assert refused.code != 0, place
        assert (
            f"the registries that this cluster allows ({', '.join(REGISTRIES)})" in refused.err
        ), refused


def test_an_image_id_is_not_taken_for_one_of_docker_hub(team: Team) -> None:
    for image in ("a" * 64, f"sha256:{'a' * 64}", "sha256:deadbeef"):
        for place in (0, MANY - 1):
            others = images(ALLOWED)
            refused = team.makes("p", *others[:place], image, *others[place + 1 :])
            assert "an image is named by an image id" in refused.err, refused
    assert (made := team.makes("p", "nginx:1", "sha256:latest", "deadbeef")).code == 0, made


def test_what_runs_stays_changeable_and_takes_no_other_image(team: Team) -> None:
    assert (labelled := team.changes("old", {"metadata": {"labels": {"a": "b"}}})).code == 0, (
        labelled
    )
    changed = {"spec": {"containers": [{"name": "c7", "image": "evil.test/another:1"}]}}
    refused = team.changes("old", changed)
    assert "imagegate-second-line" in refused.err, refused
    assert (
        deleted := team.changes("old", {"metadata": {"finalizers": None}}, "merge")
    ).code == 0, deleted
