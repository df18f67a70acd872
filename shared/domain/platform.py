"""Platforms in Go's names: what a node is, and what an entry of an index is for."""

import re

MAX_PLATFORM = 64
"""Characters of one: Go's longest are half of it."""

_PLATFORM = re.compile(r"[a-z0-9][a-z0-9_]{0,30}/[a-z0-9][a-z0-9_]{0,30}")

_SPELLED = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}
"""Other names of the same machines, as kernels and virtual nodes tell them."""


def platform_of(system: str, machine: str) -> str:
    """`os/architecture`, empty for what is none: whoever runs a node may write anything there."""
    machine = machine.strip().lower()
    platform = f"{system.strip().lower()}/{_SPELLED.get(machine, machine)}"
    return platform if _PLATFORM.fullmatch(platform) else ""
