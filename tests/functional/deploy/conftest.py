import shutil
from pathlib import Path

import pytest

from tests.deploy.composed import FOLDER
from tests.deploy.secrets import make_compose_secrets


@pytest.fixture(scope="session")
def compose_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of compose/ in which the secrets have been made as an operator makes them."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=ignore)
    make_compose_secrets(folder)
    return folder
