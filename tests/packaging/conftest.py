"""The wheel, built once, and a clean venv that holds it."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.packaging.installation import ROOT, Installation


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build with the hatchling that is locked, asking no package index."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    command = [*build, "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the wheel alone, then put the dependencies behind it.

    A path in a `.pth` file is searched last, and `.pth` files inside it are not read: the
    dependencies are found, the editable imagegate beside them is not.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    command = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    variables = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=variables))
    dependencies = sysconfig.get_path("purelib")
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
    return Installation(python, folder / "bin" / "imagegate", site_packages)


@pytest.fixture
def strangers_folder(tmp_path: Path) -> Path:
    """Make a folder with packages of our names in it that break whoever imports them."""
    for name in ("shared", "services"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text('raise RuntimeError("a stranger\'s package")\n')
    return tmp_path
