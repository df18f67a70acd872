import pytest

from shared.domain.host import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "::1"])
def test_this_machine_is_known_by_its_text(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "10.0.0.1", "0.0.0.0", "::", "127.corp", "127.0.0.1.nip.io", "localhost.corp"]
)
def test_a_name_that_begins_like_it_is_somebody_elses(host: str) -> None:
    assert not is_loopback(host)
