"""The processes of a Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.certificates import server_certificate
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess

ADMIN = "admin"
"""May do everything (group system:masters)."""
PERSON = "alice"
"""May do what the cluster role `edit` allows, in every namespace."""
PIPELINE = "system:serviceaccount:default:pipeline"
"""May do the same: `kubectl --as=...` by the admin."""
TOKENS = {ADMIN: "token-of-admin", PERSON: "token-of-alice"}

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
)
"""What makes and removes objects. Not the controllers that watch nodes: ours has no kubelet, and
would be found dead with all its pods after 40 s."""


class Etcd(ServerProcess):
    """Where the API server keeps everything; it keeps it only as long as it runs."""

    name = "etcd"
    start_within = 30.0

    def __init__(self, folder: Path, *, program: Path) -> None:
        super().__init__(folder)
        self._program = program

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command_line(self) -> list[str]:
        peers = f"http://127.0.0.1:{free_ports('peers')['peers']}"
        return [
            str(self._program),
            f"--data-dir={self.folder}/data",
            *(f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=default={peers}",
            *("--unsafe-no-fsync", "--log-level=warn"),
        ]

    def answers(self) -> bool:
        return _answers(f"{self.url}/health")


class ApiServer(ServerProcess):
    """kube-apiserver, with tokens for people and RBAC for everybody.

    `arguments` are further flags; they count from the next start.
    """

    name = "kube-apiserver"
    start_within = 90.0

    def __init__(self, folder: Path, *, program: Path, etcd: Etcd) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.arguments: tuple[str, ...] = ()
        self.ca_file, self._certificate = server_certificate(folder)
        self.service_account_key = folder / "service-accounts.key"
        self._program = program
        self._etcd = etcd
        _write_key(self.service_account_key)
        (folder / "tokens.csv").write_text(
            f'{TOKENS[ADMIN]},{ADMIN},1,"system:masters"\n{TOKENS[PERSON]},{PERSON},2,"people"\n'
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def command_line(self) -> list[str]:
        key = self.service_account_key
        return [
            str(self._program),
            f"--etcd-servers={self._etcd.url}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={self._certificate.certificate}",
            f"--tls-private-key-file={self._certificate.key}",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Without a kubelet nobody mounts a token, and pods need not wait for their account.
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            *self.arguments,
        ]

    def answers(self) -> bool:
        return _answers(f"{self.url}/readyz", ca_file=self.ca_file, token=TOKENS[ADMIN])


class ControllerManager(ServerProcess):
    """kube-controller-manager: each controller is a service account of its own."""

    name = "kube-controller-manager"
    start_within = 60.0

    def __init__(self, folder: Path, *, program: Path, key: Path, kubeconfig: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._program = program
        self._key = key
        self._kubeconfig = kubeconfig
        self._ca_file, self._certificate = server_certificate(folder)

    def command_line(self) -> list[str]:
        return [
            str(self._program),
            f"--kubeconfig={self._kubeconfig}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            f"--tls-cert-file={self._certificate.certificate}",
            f"--tls-private-key-file={self._certificate.key}",
            f"--service-account-private-key-file={self._key}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            f"--controllers={','.join(CONTROLLERS)}",
        ]

    def answers(self) -> bool:
        return _answers(f"https://127.0.0.1:{self.port}/healthz", ca_file=self._ca_file)


def _write_key(path: Path) -> None:
    """A key that signs service accounts' tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def _answers(url: str, *, ca_file: Path | None = None, token: str = "") -> bool:
    """Whether it says 200 now."""
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    handlers += [urllib.request.HTTPSHandler(context=context)] if context else []
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
