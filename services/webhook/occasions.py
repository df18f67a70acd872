"""Which scope a request is in: what of it chooses rules, and the labels of its namespace."""

import msgspec

from services.webhook.objects import author_of
from shared.domain.review import AdmissionRequest
from shared.domain.scope import Books, Occasion, RuleBook, Scope
from shared.domain.workload import labels_and_annotations
from shared.ports.namespaces import Namespaces


class Occasions:
    """Finds the scope of requests that have images to judge."""

    def __init__(self, *, books: Books, namespaces: Namespaces | None = None) -> None:
        """`namespaces`: where rules may be about their labels; without it such labels are never
        known."""
        self._books = books
        self._namespaces = namespaces

    @property
    def book(self) -> RuleBook:
        """The book that holds now."""
        return self._books()

    def at_once(self, request: AdmissionRequest) -> tuple[Scope, RuleBook] | None:
        """The scope, with the book it is of; None where a namespace's labels have to be read.

        Raises InvalidObject for what an author wrote that cannot be read, where a rule asks for it.
        """
        book = self._books()
        occasion = self._occasion(request, book)
        if not book.needs_namespace_labels:
            return book.scope(occasion), book
        labels = self._namespaces.labels(occasion.namespace) if self._namespaces else None
        if labels is None and self._namespaces is not None:
            return None
        return book.scope(msgspec.structs.replace(occasion, namespace_labels=labels)), book

    async def scope(self, request: AdmissionRequest) -> tuple[Scope, RuleBook]:
        """As `at_once`, and what is not known of the namespace is asked for in a moment."""
        found = self.at_once(request)
        if found is not None:
            return found
        book = self._books()
        labels = await self._namespaces.read(request.namespace) if self._namespaces else None
        occasion = self._occasion(request, book)
        return book.scope(msgspec.structs.replace(occasion, namespace_labels=labels)), book

    def _occasion(self, request: AdmissionRequest, book: RuleBook) -> Occasion:
        user = request.user_info.username
        if not book.needs_author:
            return Occasion(request.namespace, user)
        labels, annotations = labels_and_annotations(author_of(request))
        return Occasion(request.namespace, user, request.kind.kind, labels, annotations)
