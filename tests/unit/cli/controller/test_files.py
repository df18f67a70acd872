"""Files of Anchore's own controller as people write them."""

from pathlib import Path

from services.cli.rules.controller.files import read_controller


def test_json_may_be_indented_with_tabs(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{\n\t"policySelectors": [\n\t\t{"Mode": "policy"}\n\t]\n}\n')

    (selector,) = read_controller(file).selectors

    assert selector.mode == "policy"
