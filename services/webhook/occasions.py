"""Which scope a request is in: what of it chooses rules, and the labels of its namespace."""

from services.webhook.objects import author_of
from shared.domain.review import AdmissionRequest
from shared.domain.scope import Books, Extract, Labels, Occasion, RuleBook, Scope
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
        """The scope, with the book it is of; None where a namespace's labels have to be asked for.

        Raises InvalidObject for what an author wrote that cannot be read, where a rule asks for it.
        """
        book = self._books()
        extract = book.extract(request.namespace, request.user_info.username)
        if extract.scope is not None:
            return extract.scope, book
        labels = None
        if extract.needs_namespace_labels and self._namespaces is not None:
            labels = self._namespaces.labels(request.namespace)
            if labels is None:
                return None
        return extract.scope_of(_occasion(request, extract, labels)), book

    async def scope(self, request: AdmissionRequest) -> tuple[Scope, RuleBook]:
        """As `at_once`, and labels that are not known are asked for in a moment."""
        found = self.at_once(request)
        if found is not None:
            return found
        labels = await self._namespaces.read(request.namespace) if self._namespaces else None
        # The one that holds now: it may have changed meanwhile.
        book = self._books()
        extract = book.extract(request.namespace, request.user_info.username)
        return extract.scope_of(_occasion(request, extract, labels)), book


def _occasion(request: AdmissionRequest, extract: Extract, labels: Labels | None) -> Occasion:
    user = request.user_info.username
    if not extract.needs_author:
        return Occasion(request.namespace, user, namespace_labels=labels)
    written, annotations = labels_and_annotations(author_of(request))
    return Occasion(
        request.namespace,
        user,
        kind=request.kind.kind,
        labels=written,
        annotations=annotations,
        namespace_labels=labels,
    )
