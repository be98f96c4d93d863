#!/usr/bin/env bash
# servers.sh MODEL_DIRECTORY: the backends on real inference servers, on the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=$1
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# llama.cpp's server. The plugin is a stranger's module: it is tested in a copy
# outside the workspace.
llamacpp=$(tests/engines/environment.sh llamacpp tests/engines/llamacpp-requirements.txt xllamacpp,gguf)/bin/python
"$llamacpp" tests/engines/tiny_gguf.py "$model" "$work/tiny.gguf"
cp -r examples/plugins/llamacpp "$work/llamacpp"
(
  cd "$work/llamacpp"
  export GOWORK=off GOFLAGS=-mod=mod
  go mod edit -replace "github.com/llenergymeasure/llem/sdk=$root/sdk"
  go mod tidy
  go vet -tags engines .
  LLEM_TEST_PYTHON=$llamacpp LLEM_TEST_SERVER=$root/tests/engines/llama_server.py LLEM_TEST_MODEL=$work/tiny.gguf \
    go test -count=1 -timeout 10m -tags engines .
)
