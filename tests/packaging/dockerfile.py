"""Reads compose/Dockerfile, as far as ours needs it."""

import re
from pathlib import Path

import msgspec

from tests.packaging.installation import ROOT

DOCKERFILE = ROOT / "compose" / "Dockerfile"
IGNORED = ROOT / ".dockerignore"


class Stage(msgspec.Struct, frozen=True):
    """FROM, and what follows it: (instruction, its text on one line)."""

    base: str
    name: str
    steps: list[tuple[str, str]]

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]

    def environ(self) -> dict[str, str]:
        """What its ENV says; no value of ours has a space."""
        words = " ".join(self.all("ENV")).split()
        return dict(word.split("=", 1) for word in words)


def read_stages() -> dict[str, Stage]:
    """By their names, in the order of the file."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in filter(None, map(str.strip, text.replace("\\\n", " ").splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(base, name, [])
        elif stage is not None:
            stage.steps.append((instruction, " ".join(rest.split())))
    return found


def let_in(path: Path) -> list[Path]:
    """The files of a path of the repository that a build may see: named after `!`, and no cache."""
    lines = IGNORED.read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert (rules[0], rules[-1]) == ("*", "**/__pycache__")
    wanted = [found for rule in rules[1:-1] for found in ROOT.glob(rule.removeprefix("!"))]
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return [
        file
        for file in files
        if "__pycache__" not in file.parts
        and any(file == allowed or allowed in file.parents for allowed in wanted)
    ]


def copy_context(folder: Path, stage: Stage) -> None:
    """Put into `folder` what a stage copies out of what .dockerignore lets in."""
    for copied in stage.all("COPY"):
        *sources, target = copied.split()
        for source in sources:
            for path in sorted(let_in(ROOT / source)):
                where = path.relative_to(ROOT) if (ROOT / source).is_dir() else Path(path.name)
                place = folder / ("" if (ROOT / source).is_dir() else target) / where
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
