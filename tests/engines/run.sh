#!/usr/bin/env bash
# Tests that need Python: engines that are written in it, and what llem writes,
# read by other tools. Virtual environments are made here and cached outside the
# clone.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=$(tests/engines/environment.sh python tests/engines/requirements.txt pyarrow,pytest)
torch=$(tests/engines/environment.sh torch tests/engines/torch-requirements.txt transformers.models.llama.modeling_llama,transformers.generation --no-deps)

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
# Away from the clone: the lock of the plugins is written beside the study.
cp tests/engines/*.toml "$results"
for study in small simulated; do
  build/llem run --quiet --plugin-dir build/plugins --out "$results/$study" "$results/$study.toml" >/dev/null
done
LLEM_RESULTS=$results "$environment/bin/python" -m pytest -q tests/engines

tests/engines/python.sh "$environment/bin/python"

# The pytorch backend with real torch and transformers, on the CPU.
"$torch/bin/python" tests/engines/tiny_model.py "$results/model"
go vet -tags engines ./plugins/pytorch/...
LLEM_TEST_PYTHON=$torch/bin/python LLEM_TEST_MODEL=$results/model LLEM_TEST_BUILD=$PWD/build \
  go test -count=1 -timeout 40m -tags engines ./plugins/pytorch/...

tests/engines/servers.sh "$results/model"
