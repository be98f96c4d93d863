#!/usr/bin/env bash
# llamacpp.sh MODEL_DIRECTORY: llama.cpp's own server, on the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=$1
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(tests/engines/environment.sh llamacpp tests/engines/llamacpp-requirements.txt xllamacpp,gguf)/bin/python
"$python" tests/engines/tiny_gguf.py "$model" "$work/tiny.gguf"

# The plugin is a stranger's module: it is tested in a copy outside the workspace.
cp -r examples/plugins/llamacpp "$work/llamacpp"
cd "$work/llamacpp"
export GOWORK=off GOFLAGS=-mod=mod
go mod edit -replace "github.com/llenergymeasure/llem/sdk=$root/sdk"
go mod tidy
go vet -tags engines .
LLEM_TEST_PYTHON=$python LLEM_TEST_SERVER=$root/tests/engines/llama_server.py LLEM_TEST_MODEL=$work/tiny.gguf LLEM_TEST_GOLDEN=$root/tests/engines/golden.json \
  go test -count=1 -timeout 10m -tags engines .
