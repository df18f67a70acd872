"""What pip installs is imagegate's own `services` and `shared`, wherever it is called from."""

import tomllib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

from tests.packaging.installation import ROOT, Installation


def test_the_wheel_holds_the_two_packages_with_their_type_markers_and_nothing_else(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    top_level = {name.split("/", maxsplit=1)[0] for name in names}
    assert top_level == {"services", "shared", "imagegate-0.1.0.dist-info"}
    assert {"services/py.typed", "shared/py.typed"} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())

    expected = {
        str(path.relative_to(ROOT))
        for package in ("services", "shared")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected - packed == set()


def test_the_metadata_keeps_it_off_public_indexes(installation: Installation) -> None:
    (information,) = installation.site_packages.glob("imagegate-*.dist-info")
    metadata = Distribution.at(information).metadata

    assert metadata["Name"] == "imagegate"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Private :: Do Not Upload" in (metadata.get_all("Classifier") or [])


def test_shared_and_services_are_imported_from_the_wheel(
    installation: Installation, tmp_path: Path
) -> None:
    code = "import services, shared; print(services.__file__, shared.__file__, sep='\\n')"

    result = installation.run([str(installation.python), "-c", code], cwd=tmp_path, safe_path=False)

    assert result.returncode == 0, result.stderr
    for line in result.stdout.splitlines():
        assert Path(line).is_relative_to(installation.site_packages)
        assert Path(line).with_name("py.typed").is_file()


def test_the_installed_console_has_its_page(installation: Installation, tmp_path: Path) -> None:
    code = "from services.console.files import read_files; print(*sorted(read_files()))"

    result = installation.run([str(installation.python), "-c", code], cwd=tmp_path, safe_path=False)

    page = ROOT / "services" / "console" / "page"
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == sorted(file.name for file in page.iterdir())


def test_the_console_script_runs_beside_a_strangers_packages(
    installation: Installation, strangers_folder: Path
) -> None:
    result = installation.run(
        [str(installation.script), "--help"], cwd=strangers_folder, safe_path=False
    )

    assert result.returncode == 0, result.stderr
    assert "version" in result.stdout


def test_the_console_script_runs_beside_a_strangers_packages_with_a_safe_path_as_in_containers(
    installation: Installation, strangers_folder: Path
) -> None:
    result = installation.run(
        [str(installation.script), "--help"], cwd=strangers_folder, safe_path=True
    )

    assert result.returncode == 0, result.stderr
    assert "version" in result.stdout


def test_with_a_safe_path_python_m_finds_imagegate_and_not_the_strangers_package(
    installation: Installation, strangers_folder: Path
) -> None:
    command = [str(installation.python), "-m", "services.cli", "version"]

    result = installation.run(command, cwd=strangers_folder, safe_path=True)

    assert (result.returncode, result.stdout) == (0, "0.1.0\n"), result.stderr


def test_without_a_safe_path_python_m_would_run_the_strangers_package(
    installation: Installation, strangers_folder: Path
) -> None:
    """Why containers set PYTHONSAFEPATH=1, and why the console script is the documented way."""
    command = [str(installation.python), "-m", "services.cli", "version"]

    result = installation.run(command, cwd=strangers_folder, safe_path=False)

    assert result.returncode != 0
    assert "a stranger's package" in result.stderr


def test_the_declared_dependencies_are_those_that_are_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {text.replace("'", '"') for text in project["dependencies"]}

    lines = (ROOT / "requirements" / "runtime.in").read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == declared
