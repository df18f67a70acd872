"""What is asked of a judge, a child process, and what it answers: JSON behind a length.

Big texts travel as the JSON they are already; files are named, not sent.
"""

import struct
from typing import Literal

import msgspec

from services.scanner.bundles.problems import Problem
from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.grype_releases import GrypeDatabase
from services.scanner.records import ImageFacts

MAX_FRAME = 64 * 1024**2
LENGTH = struct.Struct(">I")
READY = LENGTH.pack(0)
"""What a judge says first: it reads questions."""


class Evaluate(msgspec.Struct, frozen=True, tag="evaluate"):
    """What does the bundle say of the facts, and of what is known against them?"""

    bundle: bytes
    facts: bytes
    matches: WrittenMatches
    digest: str
    image_id: str
    fulltag: str
    now: int


class Match(msgspec.Struct, frozen=True, tag="match"):
    """What does the feed, a file, know of the facts?"""

    facts: bytes
    feed: str


class Validate(msgspec.Struct, frozen=True, tag="validate"):
    """Is the bundle one that can be evaluated?"""

    bundle: bytes


class ReadFacts(msgspec.Struct, frozen=True, tag="read"):
    """What do Syft's output, the layers' contents and the config, all files, say of the image?"""

    listing: str
    contents: str
    config: str
    dockerfile: bytes | None
    layers: int


class WriteSbom(msgspec.Struct, frozen=True, tag="sbom"):
    """Write the facts as an SBOM into this file."""

    facts: bytes
    path: str


class ReadGrype(msgspec.Struct, frozen=True, tag="grype"):
    """What does Grype's answer, a file, about the SBOM of the facts say of them?"""

    facts: bytes
    answer: str
    database: GrypeDatabase
    data: str
    built: int


Question = Evaluate | Match | Validate | ReadFacts | WriteSbom | ReadGrype


class Evaluated(msgspec.Struct, frozen=True, tag="evaluated"):
    """An evaluation; `result` is Engine's `detail.result`, `bundle` stands in it twice."""

    status: Literal["pass", "fail"]
    result: msgspec.Raw


class Matched(msgspec.Struct, frozen=True, tag="matched"):
    """What the data knows."""

    matches: WrittenMatches


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """The bundle can be evaluated."""

    id: str
    name: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The bundle cannot: what is wrong with it, or (`shape`) why it is none."""

    problems: tuple[Problem, ...] = ()
    shape: str = ""


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """The facts of the image."""

    facts: ImageFacts


class Written(msgspec.Struct, frozen=True, tag="written"):
    """The file is there."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The question could not be answered."""

    problem_type: str
    details: str


Answer = Evaluated | Matched | Accepted | Refused | Facts | Written | Failed
