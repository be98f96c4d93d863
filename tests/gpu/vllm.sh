#!/bin/bash
# The vllm backend on a real NVIDIA GPU. No network is used.
#
#   tests/gpu/vllm.sh BIN OUT
#
# BIN holds the binaries llem and vllm (`go build ./cmd/llem ./plugins/vllm`), OUT
# takes the results. PYTHON is an interpreter with vLLM, python3 if unset. STUDIES names
# the studies (vllm: concurrencies; vllm-shapes: joules by phase). SECONDS_MOST ends
# each early, as Ctrl-C would; finished trials stay.
set -euo pipefail
bin=$(realpath "$1") out=$2 here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v "${PYTHON:-python3}")
mkdir -p "$out" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/vllm"
"$bin/llem" config doctor >"$out/doctor.txt" 2>&1 || true
for name in ${STUDIES:-vllm vllm-shapes}; do
  sed "s#^\[backends.vllm\]#&\npython = \"$python\"#" "$here/$name.toml" >"$out/$name.toml"
  timeout --signal=INT "${SECONDS_MOST:-36000}" "$bin/llem" run --out "$out/results" "$out/$name.toml" 2>"$out/$name.err" | tee "$out/$name.txt" || tail -20 "$out/$name.err"
done
