"""Images out of manifests: YAML or JSON, a file, a folder, or `helm template`'s output.

Each document is read by itself, as a review of it would be: one that is none keeps no other out.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from services.cli.defaults import with_defaults
from services.cli.prewarm.found import Found, NotRead, PassedOver, Told
from services.cli.prewarm.text_file import STDIN, UnreadableFile, read_text
from services.cli.reviews import Asker, kind_of, resource_of, review_of
from services.cli.yaml_documents import NoYaml, documents, objects_in
from services.webhook.objects import author_of, places_to_judge
from shared.domain.errors import ImagegateError
from shared.domain.review import decode_review
from shared.domain.workload import labels_and_annotations

ENDINGS = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
NO_PODS = "objects that make no pods"


class Manifests:
    """`Source`: a file, a folder with all below it, or standard input (`-`)."""

    def __init__(self, place: str, *, namespace: str) -> None:
        """`namespace`: of objects that name none."""
        self._place = place
        self._namespace = namespace

    async def told(self) -> AsyncIterator[Told]:
        """An object each. Raises UnreadableFile where there is no such place."""
        other = 0
        for file in self._files():
            if isinstance(file, NotRead):
                yield file
                continue
            try:
                text = read_text(file)
            except UnreadableFile as error:
                yield NotRead(file, str(error))
                continue
            name = "standard input" if file == STDIN else file
            for at, document in _documents(text):
                where = f"{name}, {at}"
                if isinstance(document, NoYaml):
                    yield NotRead(where, f"it cannot be read as YAML: {document}")
                    continue
                for each in objects_in(document):
                    told = self._object(each, where)
                    if told is None:
                        other += 1
                    else:
                        yield told
        if other:
            yield PassedOver(NO_PODS, other)

    def _object(self, content: Any, where: str) -> Found | NotRead | None:
        """None for what makes no pods."""
        if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
            return NotRead(where, "it has no kind: it is no object")
        if resource_of(kind_of(content)) is None:
            return None
        filled = with_defaults(content, namespace=self._namespace)
        metadata = filled["metadata"] if isinstance(filled["metadata"], dict) else {}
        name = metadata.get("name") or metadata.get("generateName") or "without a name"
        title = f"{content['kind']} {metadata.get('namespace')}/{name}"
        try:
            review = review_of(filled, asker=Asker(""))
            request = decode_review(json.dumps(review, default=str).encode())
            images = dict.fromkeys(place.image for place in places_to_judge(request))
            labels, annotations = labels_and_annotations(author_of(request))
        except (ImagegateError, RecursionError) as error:
            return NotRead(f"{where}, {title}", f"it would be refused unread: {error}")
        return Found(
            namespace=request.namespace,
            images=tuple(images),
            title=title,
            labels=labels,
            annotations=annotations,
        )

    def _files(self) -> Iterator[str | NotRead]:
        place = Path(self._place)
        # Also a pipe, as the shell's <(helm template ...) is one: whoever names it fills it.
        if self._place == STDIN or (place.exists() and not place.is_dir()):
            yield self._place
            return
        if not place.is_dir():
            raise UnreadableFile(f"there is no file or folder {self._place}")
        unread: list[NotRead] = []
        found = sorted(_below(place, unread))
        if len(found) > MAX_FILES:
            raise UnreadableFile(f"{self._place} holds more than {MAX_FILES} manifests")
        if not found and not unread:
            raise UnreadableFile(f"{self._place} holds no {', '.join(ENDINGS)}")
        yield from unread
        for file in found:
            # To open a pipe that nobody fills would take for ever.
            yield file if Path(file).is_file() else NotRead(file, "it is no regular file")


def _below(place: Path, unread: list[NotRead]) -> Iterator[str]:
    """What is called as manifests are; `unread` takes the folders that cannot be looked into."""

    def closed(error: OSError) -> None:
        unread.append(NotRead(str(error.filename), f"cannot read it: {error.strerror}"))

    # A mounted ConfigMap has such links to what is in it anyway.
    whole = place.resolve()
    for folder, folders, names in os.walk(place, onerror=closed):
        linked = (os.path.join(folder, name) for name in folders)
        unread += [
            NotRead(
                each, "it is a link to a folder elsewhere, which is not followed: name that too"
            )
            for each in linked
            if os.path.islink(each) and not Path(each).resolve().is_relative_to(whole)
        ]
        yield from (os.path.join(folder, name) for name in names if name.endswith(ENDINGS))


def _documents(text: str) -> Iterator[tuple[str, Any]]:
    """Each document with its place; for one that is no YAML what is wrong with it.

    Cut at the lines that part documents, so that what comes after a broken one is read.
    """
    for number, (line, part) in enumerate(_parts(text), start=1):
        at = f"document {number} (line {line})"
        try:
            for document in documents(part):
                if document is not None:
                    yield at, document
        except NoYaml as error:
            yield at, error


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Each with the line it begins at; such as hold comments alone are none."""
    part: list[str] = []
    began = 1
    for number, line in enumerate((*text.splitlines(keepends=True), "---\n"), start=1):
        if line.startswith("---") and line[3:4] in ("", " ", "\n", "\r", "\t"):
            if any(each.strip() and not each.startswith(("#", "---", "%")) for each in part):
                yield began, "".join(part)
            part, began = [], number
        part.append(line)
