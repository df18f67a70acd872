"""GET /v1/system/policy_spec: the gates, triggers and parameters that a bundle may name."""

import inspect
from typing import Any

from services.scanner.gates.table import TRIGGERS
from services.scanner.gates.trigger import Trigger

_STATE = {"state": "active", "superceded_by": None}


def policy_spec() -> list[dict[str, Any]]:
    """As Engine says it: whatever is not in it is refused when a bundle is pushed."""
    return [
        {
            "description": "",
            "name": gate,
            **_STATE,
            "triggers": [_trigger(name, trigger) for name, trigger in sorted(triggers.items())],
        }
        for gate, triggers in sorted(TRIGGERS.items())
    ]


def _trigger(name: str, trigger: Trigger) -> dict[str, Any]:
    return {
        "description": inspect.getdoc(trigger.fire) or "",
        "name": name,
        **_STATE,
        "parameters": [
            {
                "description": "",
                "example": None,
                "name": name,
                "required": param.required,
                **_STATE,
                "validator": {},
            }
            for name, param in sorted(trigger.params.items())
        ],
    }
