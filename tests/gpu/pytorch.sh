#!/bin/bash
# The pytorch backend on a real NVIDIA GPU, beside a plain generate loop before
# and after it. No network is used.
#
#   tests/gpu/pytorch.sh BIN OUT
#
# BIN holds the binaries llem and pytorch (`go build ./cmd/llem ./plugins/pytorch`),
# OUT takes the results. PYTHON is an interpreter with torch and transformers,
# python3 if unset. The plain loop, in turn with a pass of the worker, runs in STARTS processes before and as many after,
# since processes differ; ROUNDS and SECONDS_EACH shorten it,
# and CACHE is its cache_implementation: what the study has.
set -euo pipefail
bin=$(realpath "$1") out=$2 here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
mkdir -p "$out" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins
bare() {
  for _ in $(seq "${STARTS:-2}"); do
    "$python" "$here/bare_generate.py" --arms bare,worker ${CACHE:+--cache "$CACHE"} --rounds "${ROUNDS:-3}" --seconds "${SECONDS_EACH:-4}" | tee -a "$out/bare-$1.jsonl"
  done
}
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/pytorch"
sed "s#^\[backends.pytorch\]#&\npython = \"$(command -v "$python")\"#" "$here/pytorch.toml" >"$out/pytorch.toml"
bare before
"$bin/llem" run --out "$out/results" "$out/pytorch.toml" 2>"$out/llem.err" | tee "$out/llem.txt" || tail -20 "$out/llem.err"
bare after
