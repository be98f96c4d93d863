#!/usr/bin/env bash
# results.sh PYTHON: what llem writes, read by other tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
# Away from the clone: the lock of the plugins is written beside the study.
cp tests/engines/*.toml "$results"
for study in small simulated; do
  build/llem run --quiet --plugin-dir build/plugins --out "$results/$study" "$results/$study.toml" >/dev/null
done
LLEM_RESULTS=$results "$1" -m pytest -q tests/engines
