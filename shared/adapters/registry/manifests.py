"""Manifests and indexes: read so that nobody can read something else out of the same bytes.

Runtimes read these with Go's JSON decoder, which takes `Manifests` for `manifests` and the
last of two equal keys. A body that means one thing here and another there is refused
(docs/design/registry.md, "One meaning"), and so is one that is manifest and index at once
(CVE-2021-41190).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.adapters.registry import limits
from shared.adapters.registry.checkpoints import require_no_checkpoint
from shared.adapters.registry.failures import untrusted
from shared.adapters.registry.media_types import INDEX_TYPES, MANIFEST_TYPES, require_layers
from shared.domain.pointer import Manifest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEYS = {
    key.casefold(): key
    for key in (
        "schemaVersion",
        "mediaType",
        "manifests",
        "config",
        "layers",
        "fsLayers",
        "digest",
        "size",
        "platform",
        "os",
        "architecture",
        "variant",
        "os.version",
        "os.features",
        "annotations",
    )
}
_ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_ARM = {"armhf": "v7", "armel": "v6"}


# What every containerd takes for none; older ones take amd64's v1 for another platform.
_PLAIN_VARIANTS = {"amd64": ("",), "arm64": ("", "8", "v8")}


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: Any = msgspec.field(default=None, name="os.version")
    os_features: Any = msgspec.field(default=None, name="os.features")

    @property
    def names(self) -> tuple[str, ...]:
        """What a runtime compares with its own."""
        return self.os, self.architecture, self.variant


class Entry(msgspec.Struct, rename="camel"):
    """One entry of an index, as written."""

    digest: str
    media_type: str = ""
    platform: _Platform | None = None

    @property
    def is_index(self) -> bool:
        """Whether the entry is an index itself."""
        return self.media_type in INDEX_TYPES

    def manifest(self) -> Manifest:
        """What a runtime makes of it: containerd's spelling of platforms (its `Normalize`).

        A platform without os or architecture is none: runtimes fill in their own. Neither is
        one outside ASCII, where lower case is not the same in Go and here.
        """
        platform = self.platform or _Platform()
        system, machine = platform.os.lower(), platform.architecture.lower()
        if not system or not machine or not "".join(platform.names).isascii():
            return Manifest(self.digest)
        variant = platform.variant.lower()
        if machine in _ARM:
            machine, variant = "arm", _ARM[machine]
        machine = _ARCHITECTURES.get(machine, machine)
        exact = (
            self.media_type in MANIFEST_TYPES
            and variant in _PLAIN_VARIANTS.get(machine, ())
            and not platform.os_version
            and not platform.os_features
        )
        system = "darwin" if system == "macos" else system
        return Manifest(self.digest, system, machine, variant, exact)


class _Index(msgspec.Struct):
    manifests: list[Entry]


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of the one kind we know."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(body: bytes) -> str:
    """The digest of a body."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def check_body(media_type: str, body: bytes, *, name: str) -> None:
    """Raises PermanentFailure (untrusted) unless the body is what its media type says, and
    (refused) for an image that is not made of layers alone, and for a checkpoint; NotAnImage where
    it has no layer of an image."""
    content = _read(body, name=name)
    is_index = media_type in INDEX_TYPES
    foreign = ("config", "layers", "fsLayers") if is_index else ("manifests", "fsLayers")
    own = ("manifests",) if is_index else ("config", "layers")
    if content.get("mediaType", media_type) != media_type or any(key in content for key in foreign):
        raise untrusted(f"{name}: its manifest is not the {media_type} that the registry calls it")
    if not all(key in content for key in own):
        raise untrusted(f"{name}: its manifest lacks {' or '.join(own)}; push it again")
    layers = content.get("layers", [])
    if not isinstance(layers, list) or len(layers) > limits.MAX_LAYERS:
        raise untrusted(f"{name}: its manifest has more than {limits.MAX_LAYERS} layers")
    require_no_checkpoint(content, name=name)
    if not is_index:
        require_layers(content, layers, name=name)


def entries_of(body: bytes, *, name: str) -> list[Entry]:
    """The entries of an index whose body was checked, at most `limits.MAX_INDEX_ENTRIES`."""
    try:
        entries = msgspec.convert(_read(body, name=name), _Index).manifests
    except msgspec.ValidationError as error:
        raise untrusted(f"{name}: its index cannot be read: {error}") from error
    if len(entries) > limits.MAX_INDEX_ENTRIES:
        raise untrusted(f"{name}: its index has more than {limits.MAX_INDEX_ENTRIES} entries")
    for entry in entries:
        if not is_digest(entry.digest):
            raise untrusted(f"{name}: its index names a digest that is not sha256")
    return entries


def _read(body: bytes, *, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(body.decode(), object_pairs_hook=_one_meaning)
    except UnicodeDecodeError as error:
        raise untrusted(f"{name}: its manifest is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise untrusted(f"{name}: its manifest is not JSON with one meaning: {error}") from error
    if not isinstance(content, dict):
        raise untrusted(f"{name}: its manifest is not a JSON object")
    return content


def _one_meaning(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for key, _ in pairs:
        exact = _KEYS.get(key.casefold())
        if exact is None:
            continue
        if key != exact:
            raise ValueError(f"a key spelt like {exact} but not the same")
        if key in seen:
            raise ValueError(f"{exact} stands in it twice")
        seen.add(key)
    return dict(pairs)
