"""The files that an image ends up with: layers applied one after the other, nothing written.

As containerd applies them (docs/design/scanner-facts.md): names are cleaned, links are followed
inside the root, `.wh.` names remove, the last of two entries wins. Where a layer writes below a
link of an earlier layer, nodes differ: overlayfs has a folder there that hides the link, other
snapshotters follow it. `crosses` tells that it happened, `follow` chooses.
"""

from collections.abc import Iterator

import msgspec

from services.scanner.analysis.tar import Entry, Kind
from services.scanner.records import AnalysisFailed

MAX_PATH, MAX_NAME = 4096, 255
"""Bytes, as Linux has it."""

_MAX_LINKS = 40
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class File(msgspec.Struct, frozen=True):
    """A file, and where its bytes are: layers count from 0."""

    layer: int
    offset: int
    size: int
    sparse: bool


class Link(msgspec.Struct, frozen=True):
    """A symbolic link."""

    layer: int
    target: str


class Other(msgspec.Struct, frozen=True):
    """A device, a fifo, or a hard link to nothing."""

    layer: int


class Folder(msgspec.Struct):
    """A folder; `layer` is the last that named it."""

    layer: int
    children: "dict[str, Node]" = {}


Node = File | Link | Other | Folder


class Found(msgspec.Struct, frozen=True):
    """What a path leads to, and its name without links: `/usr/lib/os-release`."""

    path: str
    node: Node


class Tree:
    """Layers applied so far."""

    def __init__(self, *, follow: bool) -> None:
        self._follow = follow
        self._root = Folder(0)
        self.crosses = False

    def apply(self, layer: int, entry: Entry) -> None:
        """Raises AnalysisFailed for what no node can unpack."""
        parts = _clean(entry.name)
        if not parts:
            return
        folder = self._folder(parts[:-1], layer)
        name = parts[-1]
        if name.startswith(_WHITEOUT):
            _remove(folder, name, layer)
            return
        former = folder.children.get(name)
        if entry.kind is Kind.GLOBAL:
            if former is not None:
                raise AnalysisFailed(
                    f"it has PAX records for all files under the name of one, {_shown(parts)}, "
                    "which nodes would remove"
                )
        elif entry.kind is Kind.FOLDER and type(former) is Folder:
            former.layer = layer
        else:
            folder.children[name] = self._made(layer, entry)

    def find(self, path: str) -> Found | None:
        """Every link followed; None: there is nothing."""
        return self._walk(path.split("/"), follow_last=True)

    def listing(self, path: str) -> Iterator[Found]:
        """What is in a folder, links followed, by name."""
        found = self.find(path)
        if found is not None and type(found.node) is Folder:
            for name in sorted(found.node.children):
                inner = self.find(f"{found.path}/{name}")
                if inner is not None:
                    yield inner

    def _made(self, layer: int, entry: Entry) -> Node:
        if entry.kind is Kind.FILE:
            return File(layer, entry.offset, entry.size, entry.sparse)
        if entry.kind is Kind.SYMLINK:
            return Link(layer, entry.link)
        if entry.kind is Kind.FOLDER:
            return Folder(layer)
        if entry.kind is Kind.HARD_LINK:
            target = self._walk(_clean(entry.link), follow_last=False)
            if target is not None and type(target.node) is not Folder:
                return target.node
        return Other(layer)

    def _folder(self, parts: list[str], layer: int) -> Folder:
        """The folder that `layer` writes into, made where there is none."""
        ahead = parts[::-1]
        behind = [self._root]
        links = 0
        while ahead:
            part = ahead.pop()
            if part in ("", "."):
                continue
            if part == "..":
                behind = behind[: max(1, len(behind) - 1)]
                continue
            child = behind[-1].children.get(part)
            if type(child) is Link:
                self.crosses = self.crosses or child.layer != layer
                if self._follow or child.layer == layer:
                    links += 1
                    if links > _MAX_LINKS:
                        raise AnalysisFailed(f"it has links in circles below {_shown(parts)}")
                    behind = behind[:1] if child.target.startswith("/") else behind
                    ahead += child.target.split("/")[::-1]
                    continue
            if type(child) is not Folder:
                if child is not None and child.layer == layer:
                    raise AnalysisFailed(f"it has files below {_shown(parts)}, which is no folder")
                child = Folder(layer)
                behind[-1].children[part] = child
            behind.append(child)
        return behind[-1]

    def _walk(self, parts: list[str], *, follow_last: bool) -> Found | None:
        ahead = parts[::-1]
        behind: list[tuple[str, Node]] = [("", self._root)]
        links = 0
        while ahead:
            part = ahead.pop()
            if part in ("", "."):
                continue
            if part == "..":
                behind = behind[: max(1, len(behind) - 1)]
                continue
            here = behind[-1][1]
            child = here.children.get(part) if type(here) is Folder else None
            if child is None:
                return None
            if type(child) is Link and (ahead or follow_last):
                links += 1
                if links > _MAX_LINKS:
                    return None
                behind = behind[:1] if child.target.startswith("/") else behind
                ahead += child.target.split("/")[::-1]
                continue
            behind.append((part, child))
        return Found("/".join(name for name, _ in behind) or "/", behind[-1][1])


def _remove(folder: Folder, name: str, layer: int) -> None:
    if name == _OPAQUE:
        _forget_below(folder, layer)
        return
    removed = name.removeprefix(_WHITEOUT)
    if removed in ("", ".", ".."):
        raise AnalysisFailed(f"it removes {removed!r}, which is no name")
    folder.children.pop(removed, None)


def _forget_below(folder: Folder, layer: int) -> None:
    """An opaque folder has only what this layer puts there."""
    order = [folder]
    for one in order:
        order += [child for child in one.children.values() if type(child) is Folder]
    for one in reversed(order):
        one.children = {
            name: child
            for name, child in one.children.items()
            if child.layer == layer or (type(child) is Folder and child.children)
        }


def _clean(name: str) -> list[str]:
    """As Go's filepath.Clean, and below the root."""
    if len(name.encode(errors="surrogateescape")) > MAX_PATH:
        raise AnalysisFailed(f"it has a name of over {MAX_PATH} bytes")
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            if len(part.encode(errors="surrogateescape")) > MAX_NAME:
                raise AnalysisFailed(f"it has a name with a part of over {MAX_NAME} bytes")
            parts.append(part)
    return parts


def _shown(parts: list[str]) -> str:
    path = "/".join(parts)[:200]
    return repr(path.encode(errors="surrogateescape").decode(errors="replace"))
