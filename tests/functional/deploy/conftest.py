import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.runtime.tls import ensure_certificate
from tests.deploy.chart import ANCHORE, ROOT, SCANNER, Values
from tests.deploy.composed import FOLDER
from tests.deploy.manifests import Files, Manifests, brought_by, manifests
from tests.deploy.secrets import make_cluster_secrets, make_compose_secrets, shell_blocks

INSTRUCTIONS = ROOT / "docs" / "install.md"


@pytest.fixture(scope="session")
def compose_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of compose/ in which the secrets have been made as an operator makes them."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=ignore)
    make_compose_secrets(folder)
    return folder


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with secrets, made as docs/install.md tells for a cluster."""
    folder = tmp_path_factory.mktemp("secrets")
    make_cluster_secrets(folder, INSTRUCTIONS)
    return folder


@pytest.fixture(scope="session")
def brought(secrets_folder: Path) -> Files:
    """The Secrets and the ConfigMap that are made of them, as docs/install.md tells; and the
    webhook's certificate, which somebody else makes."""
    _, making, *_ = shell_blocks(INSTRUCTIONS)
    shown = ensure_certificate(secrets_folder, names=("imagegate-webhook.imagegate.svc",))
    certificate = {"tls.crt": shown.certificate, "tls.key": shown.key, "ca.crt": shown.certificate}
    made = brought_by(making, secrets_folder)
    return made | {("Secret", "imagegate-webhook-tls"): certificate}


@pytest.fixture(scope="session")
def release(brought: Files, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Manifests]:
    """Makes what Helm makes of values, with a certificate that was brought."""

    def make(values: Values, *files: str) -> Manifests:
        told = {"certificates": {"from": "secret"}} | values
        return manifests(told, *files, brought=brought, folder=tmp_path_factory.mktemp("release"))

    return make


@pytest.fixture(scope="session")
def base(release: Callable[..., Manifests]) -> Manifests:
    """What enforces, with somebody's Anchore."""
    return release(ANCHORE | {"enforcement": "enforce"})


@pytest.fixture(scope="session")
def everything(release: Callable[..., Manifests]) -> Manifests:
    """The same with the built-in scanner."""
    return release(SCANNER | {"enforcement": "enforce"})


@pytest.fixture(scope="session")
def audit(release: Callable[..., Manifests]) -> Manifests:
    """As it is installed first."""
    return release(ANCHORE)


@pytest.fixture(scope="session")
def pinning(release: Callable[..., Manifests]) -> Manifests:
    """Where workloads are pinned too."""
    return release(ANCHORE | {"enforcement": "enforce", "webhooks": {"pin": "all"}})
