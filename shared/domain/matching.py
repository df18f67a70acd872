"""Whether what a rule names fits, kind of thing by kind. What it does not name always fits."""

from collections.abc import Mapping

from shared.domain.reference import ImageReference
from shared.domain.rules import Match


def fits_namespace(match: Match, namespace: str) -> bool:
    """By its name."""
    return not match.namespaces or any(glob.matches(namespace) for glob in match.namespaces)


def fits_user(match: Match, user: str) -> bool:
    """Who asks."""
    return not match.users or any(glob.matches(user) for glob in match.users)


def fits_image(match: Match, reference: ImageReference) -> bool:
    """One image."""
    return not match.images or any(pattern.matches(reference) for pattern in match.images)


def fits_namespace_labels(match: Match, labels: Mapping[str, str] | None) -> bool | None:
    """The labels of the namespace; None where they are not known and would matter."""
    if not match.namespace_labels:
        return True
    if labels is None:
        return None
    return _hold(match.namespace_labels, labels)


def fits_written(
    match: Match, kind: str, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> bool:
    """What the author of the object wrote."""
    return (
        (not match.kinds or kind in match.kinds)
        and _hold(match.labels, labels)
        and _hold(match.annotations, annotations)
    )


def _hold(wanted: tuple[tuple[str, str], ...], there: Mapping[str, str]) -> bool:
    return all(there.get(key) == value for key, value in wanted)
