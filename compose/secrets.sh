#!/bin/sh
# Every secret of compose.yaml, made once into secrets/: ./secrets.sh [NAME...]
# It runs in the image (docker compose build); PYTHON names an interpreter that has imagegate
# installed instead: PYTHON=../.venv/bin/python ./secrets.sh
set -eu
cd "$(dirname "$0")"
if [ -n "${PYTHON:-}" ]; then
    exec "$PYTHON" make_secrets.py secrets "$@"
fi
exec docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD:/compose" \
    --workdir /compose --entrypoint python "${IMAGEGATE_IMAGE:-imagegate:0.1.0}" make_secrets.py secrets "$@"
