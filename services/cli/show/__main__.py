"""The show's registry as a process of its own: `python -m services.cli.show FOLDER PORT`."""

import sys
from pathlib import Path

from services.cli.show.registry import read_catalogue, registry_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle, run


def main(folder: str, port: str) -> int:
    """Serve the layouts in `folder` until SIGTERM; the exit code."""
    catalogue = read_catalogue(Path(folder))

    async def serving(life: Lifecycle) -> int:
        async with serve(registry_app(catalogue), port=int(port)):
            return await life.until_stopped()

    return run(serving)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
