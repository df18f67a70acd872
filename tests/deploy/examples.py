"""Makes k8s/examples from the chart, and what the chart copies from elsewhere: `make examples`.

For each example two files: the second may be applied only once the webhooks of the first answer.
"""

import json
import re
import sys
from collections.abc import Iterator

import yaml

from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Secret
from tests.deploy.chart import ANCHORE, CHART, NAMESPACE, ROOT, SCANNER, Values, render
from tests.deploy.dashboard import dashboard
from tests.deploy.told import SETTINGS, fields

FOLDER = ROOT / "k8s" / "examples"
PLAIN: Values = {
    "webhooks": {"apply": "direct"},
    "certificates": {"from": "cert-manager"},
    "dependencyNamespaces": ["redis", "rabbitmq", "anchore", "cert-manager"],
}

EXAMPLES: dict[str, Values] = {
    "audit": ANCHORE | PLAIN,
    "enforce": ANCHORE | PLAIN | {"enforcement": "enforce"},
    "scanner": SCANNER | PLAIN | {"enforcement": "enforce"},
}

HEAD = """\
# {what}
# Made from k8s/chart by `make examples`; docs/install.md, "Without Helm", tells what comes first.
"""
NAMESPACE_TEXT = f"""\
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")

_OF_HELM = re.compile(
    r"^ *(?:# Source: .*|helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: .*)\n", re.MULTILINE
)
_HERE = "all but the webhook configurations, which are in {name}-webhooks.yaml."
_THERE = "what the API server asks: apply it when the webhooks of {name}.yaml are ready."


def examples() -> dict[str, str]:
    """What the files hold, by their names."""
    files = {}
    for name, values in EXAMPLES.items():
        text = _OF_HELM.sub("", render(values))
        documents = [one for one in re.split(r"^---\n", text, flags=re.M) if _kind(one)]
        ours = [one for one in documents if _kind(one) not in WEBHOOKS]
        asks = [one for one in documents if _kind(one) in WEBHOOKS]
        files[f"{name}.yaml"] = _head(name, _HERE) + NAMESPACE_TEXT + _together(ours)
        files[f"{name}-webhooks.yaml"] = _head(name, _THERE) + _together(asks)
    return files


COMPOSE = {
    "redis-users.acl": "redis/users.acl",
    "redis.conf": "redis/redis.conf",
    "rabbitmq-rights.json": "rabbitmq/rights.json",
    "rabbitmq.conf": "rabbitmq/rabbitmq.conf",
    "rabbitmq-advanced.config": "rabbitmq/advanced.config",
    "rabbitmq-enabled_plugins": "rabbitmq/enabled_plugins",
}


def copies() -> dict[str, str]:
    """What k8s/chart/files holds, since a chart reads nothing that is not in it."""
    page = (ROOT / "docs" / "operations.md").read_text()
    alerts = page.partition("\n## Alerts\n")[2].partition("```yaml\n")[2].partition("```")[0]
    servers = {own: (ROOT / "compose" / file).read_text() for own, file in COMPOSE.items()}
    return servers | {"alerts.yaml": alerts, "dashboard.json": dashboard(page)}


SCHEMA = CHART / "values.schema.json"


def values_schema() -> str:
    """The schema of the chart's values: of `rules` it says what the schema of rules says, and of
    each service's `settings` which there are."""
    schema = json.loads(SCHEMA.read_text())
    rules = json.loads((ROOT / "docs" / "rules.schema.json").read_text())
    del rules["properties"]["apiVersion"]
    # An operator's default is laid over the chart's: the template (`imagegate.rules`) takes away
    # what that asks for where nothing is asked.
    (asks_nothing,) = rules["properties"]["default"]["allOf"]
    for name in ("require", "turnGrace"):
        del asks_nothing["then"]["properties"][name]
    schema["properties"]["rules"]["properties"] = rules["properties"]
    for service, settings in SETTINGS.items():
        schema["properties"][service]["properties"]["settings"] = {
            "$ref": "#/$defs/settings",
            "propertyNames": {"enum": sorted(_variables(settings))},
        }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _variables(settings: type[ProcessSettings]) -> Iterator[str]:
    """Those that are no secret, and whose names say that they are ours."""
    for name, kind in fields(settings).items():
        if kind is not Secret and name.startswith(("IMAGEGATE_", "ANCHORE_")):
            yield name


def _head(name: str, what: str) -> str:
    return HEAD.format(what=f"Example {name}: {what.format(name=name)}")


def _kind(document: str) -> str:
    read = yaml.safe_load(document)
    return str(read["kind"]) if read else ""


def _together(documents: list[str]) -> str:
    return "".join(f"---\n{one.strip()}\n" for one in documents)


def main() -> int:
    """Write them; the exit code."""
    SCHEMA.write_text(values_schema())
    # The copies first: the examples are made with them.
    for folder, make in ((CHART / "files", copies), (FOLDER, examples)):
        folder.mkdir(exist_ok=True)
        made = make()
        for path in folder.iterdir():
            if path.name not in made:
                path.unlink()
        for name, text in made.items():
            (folder / name).write_text(text)
            sys.stdout.write(f"{(folder / name).relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
