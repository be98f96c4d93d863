#!/usr/bin/env bash
# Tests that need Python: what llem writes is read by other tools. The virtual
# environment is made here and cached outside the clone.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${LLEM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llem-tests}
requirements=tests/engines/requirements.txt
environment=$cache/python-$(sha256sum "$requirements" | cut -c1-12)

if [ ! -x "$environment/bin/python" ] || ! "$environment/bin/python" -c 'import pyarrow, pytest' 2>/dev/null; then
  echo "making $environment"
  rm -rf "$environment"
  mkdir -p "$cache"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
# Away from the clone: the lock of the plugins is written beside the study.
cp tests/engines/*.toml "$results"
for study in small simulated; do
  build/llem run --quiet --plugin-dir build/plugins --out "$results/$study" "$results/$study.toml" >/dev/null
done
LLEM_RESULTS=$results "$environment/bin/python" -m pytest -q tests/engines
