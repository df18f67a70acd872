"""A program of Docker's credential-helper protocol that a test owns."""

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -I
import json, os, pathlib, subprocess, sys, time
folder = pathlib.Path({folder!r})
plan = json.loads((folder / "plan.json").read_text())
asked = {{"arguments": sys.argv[1:], "server": sys.stdin.read(), "home": os.environ.get("HOME")}}
with open(folder / "runs", "a") as runs:
    runs.write(json.dumps(asked) + "\\n")
if plan["child"]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "child").write_text(str(child.pid))
time.sleep(plan["seconds"])
sys.stderr.write(plan["said"])
sys.stdout.write(plan["output"])
sys.exit(plan["code"])
"""


class FakeHelper:
    """`path` is the program; what it answers can be changed at any time."""

    def __init__(self, folder: Path, *, name: str = "docker-credential-fake") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / name
        self._folder = folder
        self.path.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o700)
        self.answers("ada", "correct-horse")

    def answers(self, user: str, secret: str, **plan: Any) -> None:
        """Give these, with code 0 unless `plan` says more (`plans`)."""
        answer = {"ServerURL": "", "Username": user, "Secret": secret}
        self.plans(output=json.dumps(answer), **plan)

    def plans(
        self,
        *,
        output: str = "",
        said: str = "",
        code: int = 0,
        seconds: float = 0.0,
        child: bool = False,
    ) -> None:
        """Write and say this after so many seconds; `child`: with one of its own that stays."""
        plan = {"output": output, "said": said, "code": code, "seconds": seconds, "child": child}
        new = self._folder / "plan.new"
        new.write_text(json.dumps(plan))
        new.replace(self._folder / "plan.json")

    @property
    def runs(self) -> list[dict[str, object]]:
        """How it was asked, each time."""
        file = self._folder / "runs"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def child(self) -> int | None:
        """The process id of its child."""
        file = self._folder / "child"
        return int(file.read_text()) if file.exists() and file.read_text() else None
