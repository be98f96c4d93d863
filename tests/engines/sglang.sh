#!/usr/bin/env bash
# sglang.sh MODEL_DIRECTORY: SGLang's own server, on the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=$1
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(tests/engines/sglang-environment.sh)/bin/python

# The plugin is a stranger's module: it is tested in a copy outside the workspace.
cp -r examples/plugins/sglang "$work/sglang"
cd "$work/sglang"
export GOWORK=off GOFLAGS=-mod=mod PYTHONDONTWRITEBYTECODE=''
go mod edit -replace "github.com/llenergymeasure/llem/sdk=$root/sdk"
go mod tidy
go vet -tags engines .
LLEM_TEST_PYTHON=$python LLEM_TEST_MODEL=$model LLEM_TEST_GOLDEN=$root/tests/engines/golden.json \
  go test -count=1 -parallel 2 -timeout 20m -tags engines .
