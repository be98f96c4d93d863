#!/usr/bin/env bash
# pytorch.sh MODEL_DIRECTORY: the pytorch backend with real torch and transformers, on
# the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
torch=$(tests/engines/environment.sh torch tests/engines/torch-requirements.txt transformers.models.llama.modeling_llama,transformers.generation --no-deps)
go vet -tags engines ./plugins/pytorch/...
# Two at once: a load is one thread, most of it imports, and takes half a GB.
LLEM_TEST_PYTHON=$torch/bin/python LLEM_TEST_MODEL=$1 LLEM_TEST_GOLDEN=$PWD/tests/engines/golden.json LLEM_TEST_BUILD=$PWD/build \
  go test -count=1 -parallel 2 -timeout 40m -tags engines ./plugins/pytorch/...
