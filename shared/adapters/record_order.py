"""The order of a sealed record, for stores that refuse an older one."""

from shared.domain.signing import ORDER_DIGITS


def order_of(sealed: bytes, *, key: str) -> int:
    """The number in front of a sealed record (`shared.domain.signing`).

    Raises ValueError for bytes that no sealer made.
    """
    digits = sealed[:ORDER_DIGITS]
    if len(digits) != ORDER_DIGITS or not digits.isdigit():
        raise ValueError(f"{key}: the record does not begin with {ORDER_DIGITS} digits: seal it")
    return int(digits)
