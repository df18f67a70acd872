"""What the tests share for the whole run: a bare cluster, and one with imagegate; and the chart's.

Each starts when the first test asks for it, in some seconds; tests keep apart by namespaces.
"""

import base64
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.installation import CONFIGURATIONS, HERE, THERE, Installation
from tests.e2e.kubelet import Kubelet
from tests.e2e.site import Site
from tests.servers.kubernetes import KubernetesServer

_number = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    with KubernetesServer(tmp_path_factory.mktemp("cluster") / "kubernetes") as running:
        yield running


@pytest.fixture
def namespace(cluster: KubernetesServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the cluster, for one test."""
    with _namespace_of(request, cluster) as name:
        yield name


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """imagegate, in a cluster of its own."""
    with Site(tmp_path_factory.mktemp("site") / "files").running() as running:
        yield running


@pytest.fixture
def team(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the site's cluster, for one test."""
    with _namespace_of(request, site.cluster) as name:
        yield name


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    """One of its own: every pod in it would be asked about."""
    with KubernetesServer(tmp_path_factory.mktemp("chart") / "kubernetes") as running:
        for name in (HERE, THERE):
            made = running.kubectl("create", "namespace", name)
            assert made.code == 0, made
        yield running


@pytest.fixture
def installation(own_cluster: KubernetesServer, tmp_path: Path) -> Iterator[Installation]:
    with Kubelet(own_cluster, HERE, folder=tmp_path / "kubelet") as kubelet:
        one = Installation(own_cluster, kubelet, tmp_path)
        files = {
            "tls.crt": one.certificate.certificate,
            "tls.key": one.certificate.key,
            "ca.crt": one.ca,
        }
        data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "imagegate-webhook-tls"},
            "data": data,
        }
        assert (made := own_cluster.apply(secret, namespace=HERE)).code == 0, made
        yield one
        one.helm("uninstall", "--no-hooks", "--ignore-not-found")
        own_cluster.kubectl("delete", "job", "--all", f"--namespace={HERE}")
        gone = ("wait", "--for=delete", "deployment,pod", "--all", f"--namespace={HERE}")
        own_cluster.kubectl(*gone, "--timeout=60s")
        own_cluster.kubectl("delete", *CONFIGURATIONS, "--ignore-not-found")
        own_cluster.kubectl("delete", "secret", "imagegate-webhook-tls", f"--namespace={HERE}")


@contextmanager
def _namespace_of(request: pytest.FixtureRequest, cluster: KubernetesServer) -> Iterator[str]:
    """Named after the test; what is in it is gone afterwards, or soon."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_number)}"
    assert (made := cluster.kubectl("create", "namespace", name)).code == 0, made
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
