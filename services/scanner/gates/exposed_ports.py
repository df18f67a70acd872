"""Which ports an image exposes: by the EXPOSE lines of its Dockerfile, and by its config.

Engine reads the Dockerfile alone, so that an image's ports are not seen whose Dockerfile was
given and whose base exposes them, or that was made without one. Ranges are ports, too. What
an EXPOSE line leaves to a variable cannot be known, and counts as whatever is not allowed.
"""

import re
from collections.abc import Iterator

import msgspec

from services.scanner.dockerfile import read_dockerfile
from services.scanner.gates.params import MAX_PORT, Values
from services.scanner.gates.trigger import Hit, Sight

# BuildKit writes its history as Go prints a map: `EXPOSE map[22/tcp:{} 80/tcp:{}]`.
_PRINTED_MAP = re.compile(r"map\[(.*)\]")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/([A-Za-z]{1,8}))?")


class Exposed(msgspec.Struct, frozen=True):
    """A port or a range of them."""

    written: str
    first: int
    last: int
    protocol: str
    """`tcp`, where none is written."""

    def label(self, port: int) -> str:
        """One of its ports, as Engine names it."""
        if self.first == self.last:
            return self.written
        return f"{port}/{self.protocol}" if "/" in self.written else str(port)


def exposed_ports(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for each port that is on a blacklist, or not on a whitelist."""
    only_actual = values.get("actual_dockerfile_only", False)
    if only_actual and sight.facts.dockerfile_mode != "Actual":
        return
    texts = list(_texts_of_dockerfile(sight.facts.dockerfile))
    if not only_actual:
        texts += sight.facts.exposed_ports
    known, unknown = _read(texts)
    if values["type"] == "blacklist":
        yield from _denied(known, unknown, values["ports"])
    else:
        yield from _not_allowed(known, unknown, values["ports"])


def _denied(known: list[Exposed], unknown: list[str], ports: frozenset[int]) -> Iterator[Hit]:
    if 0 in ports and (known or unknown):
        every = [*(one.written for one in known), *unknown]
        yield Hit(f"Dockerfile exposes network ports but policy sets DENIEDPORTS=0: {every}")
        return
    for one in known:
        for port in sorted(port for port in ports if one.first <= port <= one.last):
            yield Hit(
                f"Dockerfile exposes port ({one.label(port)}) which is in policy file "
                "DENIEDPORTS list"
            )
    for text in unknown:
        yield Hit(
            f"Dockerfile exposes port ({text}) which cannot be known, and may be in policy file "
            "DENIEDPORTS list"
        )


def _not_allowed(known: list[Exposed], unknown: list[str], ports: frozenset[int]) -> Iterator[Hit]:
    refused = [one.written for one in known if not ports.issuperset(range(one.first, one.last + 1))]
    for text in [*refused, *unknown]:
        yield Hit(f"Dockerfile exposes port ({text}) which is not in policy file ALLOWEDPORTS list")


def _texts_of_dockerfile(dockerfile: str) -> Iterator[str]:
    for line in read_dockerfile(dockerfile).get("EXPOSE", []):
        printed = _PRINTED_MAP.fullmatch(line.strip())
        if printed:
            yield from (word.removesuffix(":{}") for word in printed[1].split())
        else:
            yield from line.split()


def _read(texts: list[str]) -> tuple[list[Exposed], list[str]]:
    """What is exposed, each once, in the spelling that stands first; and what cannot be read."""
    known: dict[tuple[int, int, str], Exposed] = {}
    unknown: dict[str, None] = {}
    for text in texts:
        one = _one(text)
        if one is None:
            unknown[text] = None
        else:
            known.setdefault((one.first, one.last, one.protocol), one)
    return list(known.values()), list(unknown)


def _one(text: str) -> Exposed | None:
    found = _PORTS.fullmatch(text.strip("\"'"))
    if found is None:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    if not first <= last <= MAX_PORT:
        return None
    return Exposed(found[0], first, last, (found[3] or "tcp").lower())
