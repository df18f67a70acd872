"""The script that `make test` calls for the real servers, where it cannot install any."""

import subprocess
from pathlib import Path

from tests.packaging.installation import ROOT


def test_where_it_cannot_install_it_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    script = ROOT / ".ci" / "setup-servers"

    result = subprocess.run(
        ["/bin/bash", str(script)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    (line,) = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (1, "")
    assert line.startswith("servers: install these for the tests: redis-server ")
    assert line.endswith(" skopeo chromium)")
