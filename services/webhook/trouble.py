"""What is wrong with the store, in one word: what to do about it differs."""

from collections.abc import Callable
from enum import StrEnum

from shared.domain.errors import StoreError, StoreMisconfigured, StoreRefused, StoreUnreachable


class Trouble(StrEnum):
    """Of a question that the store did not answer, for the metric."""

    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"
    """It refuses our password or rights."""
    REFUSED = "refused"
    """It takes no writes."""
    UNEXPECTED = "unexpected"


OnTrouble = Callable[[Trouble], None]
"""Told of each question that the store did not answer."""


def trouble_of(error: StoreError) -> Trouble:
    """Which it is."""
    match error:
        case StoreMisconfigured():
            return Trouble.MISCONFIGURED
        case StoreUnreachable():
            return Trouble.UNREACHABLE
        case StoreRefused():
            return Trouble.REFUSED
    return Trouble.UNEXPECTED
