"""Which images strangers may have us ask about."""

from collections.abc import Callable, Sequence

from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules


class Allowed:
    """Those of registries that the rules allow, as the rules are now, and of repositories that
    the intake is set to."""

    def __init__(
        self, *, rules: Callable[[], Rules], repositories: Sequence[ImagePattern] = ()
    ) -> None:
        """`repositories`: none is all that the rules allow."""
        self._rules = rules
        self._repositories = tuple(repositories)

    def __contains__(self, reference: ImageReference) -> bool:
        if not self._rules().allows_registry(reference.host):
            return False
        return not self._repositories or any(
            pattern.matches(reference) for pattern in self._repositories
        )
