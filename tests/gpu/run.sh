#!/bin/bash
# What docs/accuracy.md needs of a real NVIDIA GPU: run on a machine with a GPU, a
# driver and a python3 that has torch and zeus.
#
#   tests/gpu/run.sh BIN OUT
#
# BIN holds the binaries llem, torchload, compare and observer, and worker.py (`go
# build ./cmd/llem ./tests/gpu/...`); OUT takes the results.
set -euo pipefail
bin=$(realpath "$1") out=$2 here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out" && out=$(realpath "$out")
export LLEM_PLUGIN_DIR=$out/plugins
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/torchload"
"$bin/llem" config doctor >"$out/doctor.txt" 2>&1 || true
for name in steady zeus-short zeus-long; do
  cp "$here/$name.toml" "$out/"
  rm -f "/tmp/$name.jsonl"
  "$bin/llem" run --out "$out/results" "$out/$name.toml" 2>"$out/$name.err" | tee "$out/$name.txt" || tail -5 "$out/$name.err"
  [ -f "/tmp/$name.jsonl" ] || continue
  cp "/tmp/$name.jsonl" "$out/"
  "$bin/compare" "$out"/results/gpu-"$name"-* "$out/$name.jsonl" | tee "$out/$name.compare.txt" || true
done
"$bin/observer" "$bin/worker.py" "${QUADS:-6}" "${SECONDS_EACH:-10}" | tee "$out/observer.txt"
