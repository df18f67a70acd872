"""Label selectors as Kubernetes writes them (`LabelSelector`)."""

from collections.abc import Mapping

import msgspec


class Requirement(msgspec.Struct, frozen=True):
    """One of `matchExpressions`."""

    key: str
    operator: str
    values: tuple[str, ...] | None = None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """An operator that is not known is taken to hold: what it selects is seen then."""
        value, values = labels.get(self.key), self.values or ()
        match self.operator:
            case "In":
                return value in values
            case "NotIn":
                return value not in values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return True


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """All of it must hold; nothing at all selects everything."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether something with these labels is meant."""
        wanted = self.match_labels or {}
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            each.holds(labels) for each in self.match_expressions or ()
        )

    def about(self, key: str) -> "LabelSelector":
        """What it says of this label alone, for when no other is known."""
        labels = {name: value for name, value in (self.match_labels or {}).items() if name == key}
        expressions = tuple(each for each in self.match_expressions or () if each.key == key)
        return LabelSelector(labels, expressions)
