import shutil
from pathlib import Path

import pytest

from tests.deploy import manifests
from tests.deploy.composed import FOLDER
from tests.deploy.secrets import make_cluster_secrets, make_compose_secrets


@pytest.fixture(scope="session")
def compose_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of compose/ in which the secrets have been made as an operator makes them."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=ignore)
    make_compose_secrets(folder)
    return folder


@pytest.fixture(scope="session")
def cluster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of k8s/ in which the secrets have been made as docs/install.md tells."""
    folder = tmp_path_factory.mktemp("cluster") / "k8s"
    shutil.copytree(manifests.FOLDER, folder)
    make_cluster_secrets(folder / "base" / "secrets", manifests.ROOT / "docs" / "install.md")
    return folder


@pytest.fixture(scope="session")
def pinning(cluster_folder: Path) -> manifests.Manifests:
    """Where workloads are pinned too."""
    overlay = cluster_folder / "overlay"
    overlay.mkdir()
    told = "resources: [../base]\ncomponents: [../pin-workloads]\n"
    (overlay / "kustomization.yaml").write_text(told)
    return manifests.kustomized(overlay)


@pytest.fixture(scope="session")
def base(cluster_folder: Path) -> manifests.Manifests:
    """What `kubectl apply -k k8s/` applies."""
    return manifests.kustomized(cluster_folder)
