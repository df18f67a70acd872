"""The child process that reads an image's layers, once, before Syft does:
`python -m services.scanner.analysis.look QUESTION`, a file; the answer to standard output.

Each layer is hashed against the config, counted, and its entries applied to the tree of the
final files; nothing is unpacked to disk. Layers come from outside: it is a process of its own
for its memory and time, and because their bytes meet three decoders here.
"""

import sys
from pathlib import Path

import msgspec

from services.scanner.analysis.contents import Contents, read_contents, wanted
from services.scanner.analysis.tape import TooLarge, unpacked
from services.scanner.analysis.tar import entries
from services.scanner.analysis.tree import File, Tree
from services.scanner.records import AnalysisFailed

REFUSED = 3
"""The exit code when the reason stands on standard error."""

_NO_MEMORY = (
    "the layers need more memory than they may: raise IMAGEGATE_SCANNER_MAX_MEMORY if the image "
    "must be scanned"
)


class Layer(msgspec.Struct, frozen=True):
    """A layer as the manifest names it, in its file."""

    path: str
    media_type: str
    diff_id: str
    """What the config says that it unpacks to."""


class Look(msgspec.Struct, frozen=True):
    """Which layers, lowest first, and how much of them may be looked at."""

    layers: tuple[Layer, ...]
    max_bytes: int
    """Unpacked, and as the files' own sizes: holes count."""
    max_entries: int


def look(question: Look) -> Contents:
    """Raises AnalysisFailed with the reason."""
    tree = _applied(question, follow=False, again=False)
    found = wanted(tree)
    # The layers once more, for the rare image of which nodes may make two.
    other = wanted(_applied(question, follow=True, again=True)) if tree.crosses else found
    return read_contents(
        found,
        other,
        diff_ids=[layer.diff_id for layer in question.layers],
        read=lambda files: _bodies(question, files),
    )


def _applied(question: Look, *, follow: bool, again: bool) -> Tree:
    tree = Tree(follow=follow)
    room, files = question.max_bytes, question.max_entries
    for number, layer in enumerate(question.layers):
        try:
            size, count = _apply(tree, number, layer, room=room, files=files, again=again)
        except TooLarge as error:
            raise AnalysisFailed(
                f"the unpacked image takes more than {question.max_bytes} bytes: raise "
                "IMAGEGATE_SCANNER_MAX_DISK if it must be scanned"
            ) from error
        except _TooMany as error:
            raise AnalysisFailed(
                f"the layers have more than {question.max_entries} files: raise "
                "IMAGEGATE_SCANNER_MAX_FILES if the image must be scanned"
            ) from error
        except AnalysisFailed as error:
            raise AnalysisFailed(f"layer {number + 1} of the image: {error}") from error
        room, files = room - size, files - count
    return tree


class _TooMany(Exception):
    pass


def _apply(
    tree: Tree, number: int, layer: Layer, *, room: int, files: int, again: bool
) -> tuple[int, int]:
    """Bytes and entries of the layer."""
    count = written = 0
    with unpacked(Path(layer.path), media_type=layer.media_type, most=room) as tape:
        for entry in entries(tape):
            count += 1
            written += entry.size
            if count > files:
                raise _TooMany
            if written > room:
                raise TooLarge
            tree.apply(number, entry)
        if not again:
            tape.finish()
            _check(layer, tape.digest)
    return max(tape.size, written), count


def _check(layer: Layer, digest: str) -> None:
    if digest != layer.diff_id:
        raise AnalysisFailed(
            "it unpacks to something else than the config says, so that nodes may run other files "
            "than were scanned: build the image again"
        )


def _bodies(question: Look, files: list[File]) -> dict[File, bytes]:
    found = {}
    for number in sorted({file.layer for file in files}):
        layer = question.layers[number]
        with unpacked(
            Path(layer.path), media_type=layer.media_type, most=question.max_bytes
        ) as tape:
            for file in sorted((one for one in files if one.layer == number), key=_offset):
                tape.skip(file.offset - tape.position)
                found[file] = tape.read(file.size)
    return found


def _offset(file: File) -> int:
    return file.offset


def main(arguments: list[str]) -> int:
    """Answer the one question."""
    question = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Look)
    try:
        answer = msgspec.json.encode(look(question))
    except (AnalysisFailed, MemoryError) as error:
        reason = str(error) if isinstance(error, AnalysisFailed) else _NO_MEMORY
        sys.stderr.buffer.write(reason.encode(errors="replace"))
        return REFUSED
    sys.stdout.buffer.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
