"""The cluster that the other tests stand on is the real thing."""

from tests.servers.kubernetes import KubernetesServer
from tests.servers.kubernetes_parts import VERSION
from tests.servers.kubernetes_processes import PERSON


def test_server_and_client_are_of_the_version_that_the_modules_name(
    cluster: KubernetesServer,
) -> None:
    told = cluster.kubectl("version", "--output=json").json

    assert told["serverVersion"]["gitVersion"] == VERSION
    assert told["clientVersion"]["gitVersion"] == VERSION


def test_a_persons_deployment_makes_a_pod(cluster: KubernetesServer, namespace: str) -> None:
    image = "--image=registry.example/team/app:1"
    made = cluster.kubectl("create", "deployment", "d", image, f"-n{namespace}", user=PERSON)
    assert made.code == 0, made

    waited = cluster.kubectl("wait", "pod", "-lapp=d", f"-n{namespace}", "--for=create")

    assert waited.code == 0, (waited, cluster.said())
