"""One API server for the whole run, and a namespace of its own for each test."""

import itertools
import re
from collections.abc import Iterator

import pytest

from tests.servers.kubernetes import KubernetesServer

_number = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    with KubernetesServer(tmp_path_factory.mktemp("cluster") / "kubernetes") as running:
        yield running


@pytest.fixture
def namespace(cluster: KubernetesServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Named after the test; what is in it is gone afterwards, or soon."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{next(_number)}"
    assert (made := cluster.kubectl("create", "namespace", name)).code == 0, made
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
