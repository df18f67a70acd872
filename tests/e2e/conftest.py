"""What the tests share for the whole run: a bare cluster, and one with imagegate.

Each starts when the first test asks for it, in some seconds; tests keep apart by namespaces.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

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


@contextmanager
def _namespace_of(request: pytest.FixtureRequest, cluster: KubernetesServer) -> Iterator[str]:
    """Named after the test; what is in it is gone afterwards, or soon."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_number)}"
    assert (made := cluster.kubectl("create", "namespace", name)).code == 0, made
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
