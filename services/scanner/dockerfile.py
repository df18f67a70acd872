"""Dockerfiles: read into instructions, or guessed from an image's history.

Reading knows the escape directive, comments and continued lines. Heredocs are not followed:
what stands in one is read as instructions too, so nothing hides in it.
"""

import re
from collections.abc import Sequence

INSTRUCTIONS = frozenset(
    {
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    }
)

_NOP = re.compile(r"/bin/sh -c #\(nop\)\s+(.*)", re.DOTALL)
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[a-zA-Z]+\s*=\s*\S+\s*")


def read_dockerfile(text: str) -> dict[str, list[str]]:
    """Instruction (upper case) -> what follows it on each of its lines, in order."""
    instructions: dict[str, list[str]] = {}
    for line in _logical_lines(text):
        word, *rest = line.split(maxsplit=1)
        instructions.setdefault(word.upper(), []).append("".join(rest))
    return instructions


def guess_dockerfile(history: Sequence[str]) -> str:
    """A Dockerfile from the config's `created_by` lines, as Engine guesses it.

    It begins `FROM scratch`: the true base cannot be known. BuildKit writes instructions as
    they were, classic builders `/bin/sh -c #(nop) INSTRUCTION`; anything else was a RUN.
    (Engine takes BuildKit's lines for RUN: its guessed files name no USER.)
    """
    lines = ["FROM scratch"]
    for entry in history:
        line = " ".join(entry.split()).removesuffix("# buildkit").strip()
        nop = _NOP.fullmatch(line)
        if nop:
            line = nop.group(1)
        elif line and line.partition(" ")[0] not in INSTRUCTIONS:
            line = f"RUN {line}"
        if line:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _logical_lines(text: str) -> list[str]:
    physical = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    escape = _escape(physical)
    lines, pending = [], ""
    for line in physical:
        if not line or line.startswith("#"):
            continue
        if line.endswith(escape):
            pending += line[:-1].rstrip() + " "
            continue
        lines.append(pending + line)
        pending = ""
    if pending.strip():
        lines.append(pending.strip())
    return lines


def _escape(lines: Sequence[str]) -> str:
    """The continuation character; directives stand before everything else."""
    for line in lines:
        if found := _ESCAPE.fullmatch(line):
            return found.group(1)
        if not _DIRECTIVE.fullmatch(line):
            break
    return "\\"
