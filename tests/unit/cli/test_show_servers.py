"""The show's own servers are set as those of compose are, where it matters to queues."""

from pathlib import Path

from services.cli.show.servers import rabbitmq

COMPOSE = Path(__file__).parents[3] / "compose" / "rabbitmq" / "advanced.config"


def test_what_finds_its_lane_full_is_tried_again_as_soon_as_in_compose(tmp_path: Path) -> None:
    rabbitmq("rabbitmq-server", tmp_path, ports={"amqp": 1, "dist": 2, "epmd": 3})
    said = COMPOSE.read_text().splitlines(keepends=True)
    terms = "".join(line for line in said if not line.startswith("%"))
    assert (tmp_path / "advanced.config").read_text() == terms
