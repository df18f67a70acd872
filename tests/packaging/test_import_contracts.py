"""Each rule of the house is broken once in a copy of the tree, and its contract says so."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.installation import ROOT

# Contract -> a module that breaks it, and the import it does so with.
BREAKERS = {
    "layers": ("shared/ports/breaker.py", "shared.runtime"),
    "independence": ("services/worker/breaker.py", "services.webhook"),
    "adapters": ("services/worker/breaker.py", "shared.adapters.anchore"),
    "wirings": ("services/webhook/breaker.py", "services.webhook.wiring"),
    "pure-domain": ("shared/domain/breaker.py", "asyncio"),
    "ports": ("shared/ports/breaker.py", "aiohttp"),
    "use-cases": ("services/webhook/breaker.py", "aiohttp"),
    "anchore": ("shared/adapters/breaker.py", "httpx"),
    "redis": ("shared/runtime/breaker.py", "redis.asyncio"),
    "amqp": ("services/worker/breaker.py", "aio_pika"),
    "http": ("shared/adapters/breaker.py", "aiohttp"),
    "kubernetes": ("services/intake/wiring.py", "shared.adapters.kubernetes.namespaces"),
    "downloads": ("services/worker/wiring.py", "shared.adapters.downloads.client"),
    "registries": ("services/webhook/wiring.py", "shared.adapters.registry.client"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a tree in which every rule is broken."""
    tree = tmp_path_factory.mktemp("tree")
    for package in ("services", "shared"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tree)
    (tree / "services" / "webhook" / "wiring.py").touch()
    for path, imported in BREAKERS.values():
        with (tree / path).open("a") as module:
            module.write(f"import {imported}\n")
    script = Path(sys.executable).with_name("lint-imports")
    command = [str(script), "--no-cache"]
    result = subprocess.run(
        command, cwd=tree, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1, result.stderr
    return " ".join(result.stdout.split())


def _contracts() -> dict[str, str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in settings["contracts"]}


def test_every_contract_has_a_breaker() -> None:
    assert set(BREAKERS) == set(_contracts())


@pytest.mark.parametrize("contract", sorted(BREAKERS))
def test_a_broken_rule_is_reported(contract: str, report: str) -> None:
    assert f"{_contracts()[contract]} BROKEN" in report
