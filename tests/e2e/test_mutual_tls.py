"""The API server shows the webhook a certificate, and nobody else gets an answer
(docs/install.md, Only the API server may ask).

The rules need no verdict, so that nothing has to stand behind the webhook.
"""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from shared.runtime.tls import CertificateFiles, client_context
from tests.e2e.admission import configurations
from tests.e2e.site import Service, until
from tests.fakes.certificates import Authority
from tests.house import pod, review_of
from tests.servers.kubernetes import KubernetesServer
from tests.servers.kubernetes_processes import ADMIN
from tests.servers.ports import free_ports

pytestmark = pytest.mark.timeout(600)

NAME = "kube-apiserver-webhooks"
SERVICE = "imagegate-webhook"
HERE = "imagegate"

RULES = """\
apiVersion: imagegate.dev/v1
rules: [{name: never, match: {images: ["**/never"]}, mode: deny}]
default: {mode: allow}
"""
LOCKED = "failed calling webhook"
DIGEST = f"sha256:{'a' * 64}"


@dataclass
class Site:
    """A cluster whose API server has a certificate for one port, and webhooks."""

    cluster: KubernetesServer
    folder: Path
    callers: Authority
    serving: Authority
    port: int
    """Where the API server shows its certificate."""
    told: dict[str, str]

    @contextmanager
    def webhook(self, port: int, *, names: str = NAME) -> Iterator[Service]:
        told = self.told | {"IMAGEGATE_PORT": str(port), "IMAGEGATE_CLIENT_NAMES": names}
        folder = self.folder / f"webhook-{port}"
        with Service(
            folder, "webhook", own_port="IMAGEGATE_HEALTH_PORT", probe="/readyz", **told
        ) as running:
            yield running

    def ask(self, url: str, *, service: dict[str, Any] | None = None) -> None:
        """Have the API server ask there about pods: `url`, or a Service."""
        found = configurations(url, self.serving.file)
        for webhook in (each for one in found for each in one["webhooks"]):
            if service is not None:
                told = webhook["clientConfig"]
                path = told.pop("url").removeprefix(url)
                told["service"] = {**service, "path": path}
        # What was applied before may have had the other form: not both of a field are allowed.
        self.cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=_yaml(found))
        applied = self.cluster.apply(*found)
        assert applied.code == 0, applied

    def run(self, name: str, image: str) -> str:
        """What `kubectl run` says."""
        ran = self.cluster.kubectl("run", name, f"--image={image}", user=ADMIN)
        return ran.out + ran.err


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("mutual")
    callers, serving = Authority(folder / "callers"), Authority(folder / "serving")
    names = [x509.DNSName(f"{SERVICE}.{HERE}.svc"), x509.DNSName("localhost")]
    own = serving.signed(
        "webhook",
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectAlternativeName([*names, x509.IPAddress(ip_address("127.0.0.1"))]),
    )
    (folder / "rules.yaml").write_text(RULES)
    ports = free_ports("reviews", "redis", "rabbit")
    told = {
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}",
        "AMQP_URL": f"amqp://127.0.0.1:{ports['rabbit']}",
        "IMAGEGATE_STATE": str(folder / "state"),
        "IMAGEGATE_RULES": str(folder / "rules.yaml"),
        "IMAGEGATE_CERTIFICATE": str(own.certificate),
        "IMAGEGATE_CERTIFICATE_KEY": str(own.key),
        "IMAGEGATE_CLIENT_CA": str(callers.file),
        "IMAGEGATE_NUDGE": "false",
    }
    with KubernetesServer(folder / "kubernetes") as cluster:
        found = Site(cluster, folder, callers, serving, ports["reviews"], told)
        shown = callers.client(NAME)
        users = (f"127.0.0.1:{found.port}", f"{SERVICE}.{HERE}.svc:{found.port}")
        plugins = _admission_configuration(folder, shown, *users)
        cluster.restart(f"--admission-control-config-file={plugins}")
        for namespace in (HERE, "team"):
            assert cluster.kubectl("create", "namespace", namespace).code == 0
        yield found


def _admission_configuration(folder: Path, shown: CertificateFiles, *users: str) -> Path:
    """As docs/install.md has it: to whom the API server shows this certificate."""
    certificate = {
        "client-certificate": str(shown.certificate),
        "client-key": str(shown.key),
    }
    kubeconfig = folder / "webhooks.kubeconfig"
    kubeconfig.write_text(
        _yaml(
            [
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "users": [{"name": user, "user": certificate} for user in users],
                }
            ]
        )
    )
    asks = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(kubeconfig),
    }
    plugins = ("ValidatingAdmissionWebhook", "MutatingAdmissionWebhook")
    file = folder / "admission.yaml"
    file.write_text(
        _yaml(
            [
                {
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "kind": "AdmissionConfiguration",
                    "plugins": [{"name": name, "configuration": asks} for name in plugins],
                }
            ]
        )
    )
    return file


def test_pods_are_judged_where_the_api_server_shows_its_certificate(site: Site) -> None:
    with site.webhook(site.port):
        site.ask(f"https://127.0.0.1:{site.port}")
        assert site.run("good", f"registry.test/good@{DIGEST}") == "pod/good created\n"
        said = site.run("bad", f"registry.test/never@{DIGEST}")
        assert "create.imagegate.dev" in said, said
        assert f"image registry.test/never@{DIGEST}: rule never denies it" in said, said


def test_pods_are_judged_through_a_service_too(site: Site) -> None:
    # Of this type the API server looks up nothing but the name; there is no network of pods here.
    outside = {"type": "ExternalName", "externalName": "localhost"}
    made = site.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": HERE},
            "spec": outside,
        },
        namespace=HERE,
    )
    assert made.code == 0, made
    with site.webhook(site.port):
        url = f"https://127.0.0.1:{site.port}"
        site.ask(url, service={"name": SERVICE, "namespace": HERE, "port": site.port})
        assert site.run("by-service", f"registry.test/good@{DIGEST}") == "pod/by-service created\n"
        said = site.run("bad", f"registry.test/never@{DIGEST}")
        assert "rule never denies it" in said, said


def test_no_pod_starts_where_the_api_server_shows_none(site: Site) -> None:
    with site.webhook(site.port):
        # The same webhook by another name, which no user of the kubeconfig has.
        site.ask(f"https://localhost:{site.port}")
        said = site.run("unknown", f"registry.test/good@{DIGEST}")
        # Why it does not say: the handshake of TLS 1.3 is over for the client when it is refused.
        assert LOCKED in said, said
        assert site.cluster.kubectl("get", "pod", "unknown").code != 0


def test_no_pod_starts_where_its_certificate_has_another_name_and_both_sides_say_why(
    site: Site,
) -> None:
    with site.webhook(site.port, names="somebody-else, another.test") as webhook:
        site.ask(f"https://127.0.0.1:{site.port}")
        said = site.run("misnamed", f"registry.test/good@{DIGEST}")
        assert LOCKED in said, said
        assert "IMAGEGATE_CLIENT_NAMES" in said, said
        assert NAME in webhook.said(), webhook.said()


def test_a_stranger_gets_no_answer(site: Site) -> None:
    kubelet = site.callers.client("system-node-node-1")
    other = Authority(site.folder / "other").client(NAME)
    with site.webhook(site.port) as webhook:
        for own in (None, other):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                _post(site, own)
        status, answer = _post(site, kubelet)
        assert status == 403
        assert "IMAGEGATE_CLIENT_NAMES" in answer["error"]
        status, answer = _post(site, site.callers.client(NAME))
        assert (status, answer["response"]["allowed"]) == (200, True)
        assert until(lambda: _metric(webhook, "imagegate_reviews_refused_total") == 1.0)


def _post(site: Site, own: CertificateFiles | None) -> tuple[int, dict[str, Any]]:
    trust = client_context(site.serving.file, own=own)
    calling = http.client.HTTPSConnection("127.0.0.1", site.port, context=trust, timeout=30)
    try:
        body = json.dumps(review_of(pod(f"registry.test/good@{DIGEST}")))
        calling.request("POST", "/validate", body, {"Content-Type": "application/json"})
        answer = calling.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        calling.close()


def _metric(webhook: Service, name: str) -> float:
    calling = http.client.HTTPConnection("127.0.0.1", webhook.port, timeout=30)
    try:
        calling.request("GET", "/metrics")
        lines = calling.getresponse().read().decode().splitlines()
    finally:
        calling.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def _yaml(documents: list[Any]) -> str:
    return str(yaml.safe_dump_all(documents))
