import pytest

from shared.adapters.record_order import order_of
from shared.domain.signing import assemble


def test_the_order_of_a_sealed_record_is_the_number_in_front() -> None:
    sealed = assemble(order=1_750_000_000_123, key_id="k", signature=b"s", body=b"{}")
    assert order_of(sealed, key="a") == 1_750_000_000_123


@pytest.mark.parametrize("sealed", [b"", b"123", b"123 456 789 0123 k s {}", b"-000000000000001 1"])
def test_what_no_sealer_made_has_no_order(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="pointer:a: the record does not begin with 16 digits"):
        order_of(sealed, key="pointer:a")
