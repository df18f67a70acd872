"""The rules and exceptions that hold now."""

from collections.abc import Sequence

from shared.domain.emergency import Emergency
from shared.domain.exceptions import ImageException
from shared.domain.rules import Rules
from shared.domain.scope import RuleBook


class CurrentBook:
    """Makes a new book whenever the file, the signed exceptions or the emergency change; call it
    for the book."""

    def __init__(self, rules: Rules, signed: Sequence[ImageException] = ()) -> None:
        self._book = RuleBook(rules, signed)
        self._signed = tuple(signed)

    def __call__(self) -> RuleBook:
        """The book that holds now; another object after each change."""
        return self._book

    @property
    def rules(self) -> Rules:
        """The rules file's part."""
        return self._book.rules

    def rules_changed(self, rules: Rules) -> None:
        """The file says something else now."""
        self._book = RuleBook(rules, self._signed, self._book.emergency)

    def exceptions_changed(self, signed: Sequence[ImageException]) -> None:
        """Other exceptions are signed now."""
        if tuple(signed) != self._signed:
            self._signed = tuple(signed)
            self._book = RuleBook(self.rules, self._signed, self._book.emergency)

    def emergency_changed(self, emergency: Emergency | None) -> None:
        """There is another emergency now, or none."""
        if emergency != self._book.emergency:
            self._book = RuleBook(self.rules, self._signed, emergency)
