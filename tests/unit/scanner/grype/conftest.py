"""The recorded database, read once."""

import pytest

from services.scanner.matching.grype_database import read_database
from services.scanner.matching.grype_releases import GrypeDatabase
from tests.fakes.grype import make_database


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> GrypeDatabase:
    return read_database(make_database(tmp_path_factory.mktemp("grype")))
