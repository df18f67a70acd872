"""Facts of an image, read from Syft's output and the image's config.

Runs in the child process: both texts come from outside and may be large.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from services.scanner.analysis.contents import Contents
from services.scanner.analysis.contradictions import Distribution, contradictions
from services.scanner.analysis.packages import Artifact, Relationship, read_packages
from services.scanner.analysis.users import user_of
from services.scanner.dockerfile import guess_dockerfile
from services.scanner.records import UNKNOWN_DISTRO, AnalysisFailed, ImageFacts

T = TypeVar("T")

MAX_PACKAGES = 100_000
MAX_HISTORY = 10_000

_CONFIG_NAMES = {
    name.casefold(): name for name in ("architecture", "config", "history", "os", "rootfs")
}
_RUN_AS_NAMES = {name.casefold(): name for name in ("User", "ExposedPorts")}
_ROOTFS_NAMES = {name.casefold(): name for name in ("diff_ids", "type")}
_INNER_NAMES = {"config": _RUN_AS_NAMES, "rootfs": _ROOTFS_NAMES}


class _Unpacked(msgspec.Struct, frozen=True):
    size: int = msgspec.field(default=0, name="imageSize")


class _Source(msgspec.Struct, frozen=True):
    metadata: _Unpacked = _Unpacked()


class _Listing(msgspec.Struct):
    artifacts: list[Artifact]
    relationships: list[Relationship] = msgspec.field(
        default_factory=list, name="artifactRelationships"
    )
    distro: Distribution = Distribution()
    source: _Source = _Source()


class _RunAs(msgspec.Struct, rename="pascal"):
    user: str | None = None
    exposed_ports: dict[str, Any] | None = None


class _Step(msgspec.Struct):
    created_by: str | None = None


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written."""


class _Config(msgspec.Struct):
    config: _RunAs | None = None
    history: list[_Step] | None = None
    architecture: str = ""
    os: str = ""


def read_facts(
    *, listing: bytes, contents: Contents, config: bytes, dockerfile: bytes | None, layers: int
) -> ImageFacts:
    """Raises AnalysisFailed when one of the texts is not what it should be."""
    listed = _decode(listing, _Listing, "syft's output")
    _check_one_meaning(config)
    described = _decode(config, _Config, "the image's config")
    if len(listed.artifacts) > MAX_PACKAGES:
        raise AnalysisFailed(f"the image has more than {MAX_PACKAGES} packages")
    if len(described.history or ()) > MAX_HISTORY:
        raise AnalysisFailed(f"the image's config has a history of more than {MAX_HISTORY} steps")
    run_as = described.config or _RunAs()
    user = run_as.user or ""
    user_id, user_problem = user_of(user, contents.passwd, contents.passwd_problem)
    packages = read_packages(listed.artifacts, listed.relationships)
    history = tuple(step.created_by for step in described.history or () if step.created_by)
    distro, version = listed.distro.id, listed.distro.version
    return ImageFacts(
        distro=distro or UNKNOWN_DISTRO[0],
        distro_version=version or UNKNOWN_DISTRO[1],
        packages=packages,
        user=user,
        history=history,
        exposed_ports=tuple(run_as.exposed_ports or ()),
        dockerfile=(
            guess_dockerfile(history) if dockerfile is None else dockerfile.decode(errors="replace")
        ),
        dockerfile_mode="Guessed" if dockerfile is None else "Actual",
        architecture=described.architecture,
        layers=layers,
        size=listed.source.metadata.size,
        distro_like=listed.distro.like,
        distro_codename=listed.distro.codename,
        distro_name=listed.distro.name,
        os_type=described.os,
        user_id=user_id,
        user_problem=user_problem,
        databases=tuple(sorted({one.kind for one in contents.databases})),
        contradictions=contradictions(contents, listed.artifacts, packages, listed.distro),
    )


def _check_one_meaning(config: bytes) -> None:
    """Runtimes read a config with Go, which takes `Config` for `config` and the last of two.

    Raises AnalysisFailed for one that would run as somebody else than was read here.
    """
    try:
        document = json.loads(config.decode(), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise AnalysisFailed(f"the image's config cannot be read: {error}") from error
    _check_names(document, _CONFIG_NAMES)
    for name, value in document if isinstance(document, _Pairs) else ():
        _check_names(value, _INNER_NAMES.get(name, {}))


def _check_names(part: object, names: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name, _ in part if isinstance(part, _Pairs) else ():
        exact = names.get(name.casefold())
        if exact is None:
            continue
        if name != exact or name in seen:
            raise AnalysisFailed(
                f"the image's config names {exact} twice or in another spelling, so that a "
                "runtime may read something else: build the image again"
            )
        seen.add(name)


def _decode(text: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnalysisFailed(f"{what} cannot be read: {error}") from error
