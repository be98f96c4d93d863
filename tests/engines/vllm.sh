#!/usr/bin/env bash
# vllm.sh MODEL_DIRECTORY: the vllm backend on a real vLLM, on the CPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
model=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
vllm=$(tests/engines/vllm-environment.sh)
export PYTHONDONTWRITEBYTECODE='' VLLM_CACHE_ROOT=$vllm/cache

# Heads of 16 are too narrow for its kernels on the CPU.
(cd tests/engines && "$vllm/bin/python" -c 'import pathlib, sys, tiny_model as m
m.HIDDEN, m.HEAD_DIM = 128, 16
m.write(pathlib.Path(sys.argv[1]))' "$work/narrow")
go vet -tags engines ./plugins/vllm
LLEM_TEST_PYTHON=$vllm/bin/python LLEM_TEST_MODEL=$model LLEM_TEST_GOLDEN=$PWD/tests/engines/golden.json LLEM_TEST_NARROW_MODEL=$work/narrow \
  go test -count=1 -parallel 2 -timeout 20m -tags engines ./plugins/vllm

# The examples as a new user runs them, in the active environment, but once and with
# waits and windows as short as they may be: no joules are checked here.
short='s/^\[protocol\]$/&\nidle_s = 0.2\nconditioning_s = 0.5/; s/^window_s = .*/window_s = 4/'
sed "$short" examples/vllm-concurrency.toml >"$work/vllm-concurrency.toml"
VIRTUAL_ENV=$vllm OMP_NUM_THREADS=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 \
  build/llem run --quiet --cycles 1 --plugin-dir build/plugins --out "$work/results" "$work/vllm-concurrency.toml"

# The same work through it and through transformers, which its environment has, too.
sed "$short" examples/vllm-vs-pytorch.toml >"$work/vllm-vs-pytorch.toml"
VIRTUAL_ENV=$vllm OMP_NUM_THREADS=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 \
  build/llem run --quiet --cycles 1 --plugin-dir build/plugins --out "$work/compared" "$work/vllm-vs-pytorch.toml"
python=$(tests/engines/environment.sh python tests/engines/requirements.txt pyarrow,pytest,numpy)
"$python/bin/python" tests/engines/compared.py "$work/compared"
