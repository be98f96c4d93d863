#!/bin/bash
# What of the pytorch backend needs a real NVIDIA GPU: continuous batching, quantised
# weights, a batch that does not fit, and llem killed in the middle of a pass; with
# two GPUs visible, layers and tensors split over both. No network is used.
#
#   tests/gpu/pytorch_features.sh BIN OUT NAME...
#
# BIN and PYTHON as for pytorch.sh. A NAME is one of continuous, int8, int4, bnb-int8,
# bnb-nf4, compiled, too-large, killed, layers, tensors. Each is a study of its own,
# loaded once, and a table or an error at its end.
set -uo pipefail
bin=$(realpath "$1") out=$2 here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v "${PYTHON:-python3}")
mkdir -p "$out" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/pytorch"
study() { # NAME WORKLOAD-AND-LOAD BACKEND, lines of TOML
  printf '%s\n' "name = \"gpu-$1\"" 'backend = "pytorch"' 'energy = ["nvml"]' \
    '[model]' 'id = "llem/random-8b"' 'weights = "dummy"' '[protocol]' 'profile = "quick"' 'idle_s = 2' 'conditioning_s = 3' \
    "window_s = ${SECONDS_EACH:-5}" 'windows = 2' 'cycles = 1' '[workload]' 'input_tokens = 512' 'output_tokens = 64' "$2" \
    '[backends.pytorch]' "python = \"$python\"" 'dtype = "bfloat16"' "$3" >"$out/$1.toml"
}
run() {
  timeout --signal=INT "${SECONDS_MOST:-180}" "$bin/llem" run --out "$out/results" "$out/$1.toml" >"$out/$1.txt" 2>"$out/$1.err"
  echo "$1: llem ended with $?"
  grep -vE '^ *$' "$out/$1.txt" | head -14
  tail -8 "$out/$1.err"
}
# A figure of the first visible card.
card() { nvidia-smi --query-gpu="$1" --format=csv,noheader,nounits -i "${CUDA_VISIBLE_DEVICES:-0}" | head -1; }
static='cache_implementation = "static"'
for name in "${@:3}"; do
  case $name in
  continuous) study "$name" $'requests = 64\n[load]\nmode = "closed"\nconcurrency = 32' 'batching = "continuous"' ;;
  int8 | int4) study "$name" 'requests = 32' "batch_size = 32"$'\n'"quantization = \"torchao_$name\"" ;;
  bnb-int8 | bnb-nf4) study "$name" 'requests = 32' "batch_size = 32"$'\n'"quantization = \"${name/-/_}\"" ;;
  compiled) study "$name" 'requests = 32' $'batch_size = 32\ncompile = true\ncompile_mode = "reduce-overhead"\n'"$static" ;;
  too-large) study "$name" 'requests = 4096' 'batch_size = 4096' ;;
  killed) study "$name" 'requests = 32' 'batch_size = 32' ;;
  layers) study "$name" 'requests = 32' $'batch_size = 32\ndevice_map = "balanced"' ;;
  tensors)
    study "$name" '' "$static"$'\n[sweep]\nbackends.pytorch.tp_size = [1, 2]\n[sweep.groups.batch.one]\nworkload.requests = 4\nbackends.pytorch.batch_size = 1\n[sweep.groups.batch.thirty-two]\nworkload.requests = 32\nbackends.pytorch.batch_size = 32'
    sed -i 's/^dtype = .*/&\ntp_plan = "auto"/' "$out/$name.toml"
    ;;
  esac
  if [ "$name" != killed ]; then
    run "$name"
    continue
  fi
  echo "killed: $(card memory.used) MiB before"
  "$bin/llem" run --out "$out/results" "$out/$name.toml" >"$out/$name.txt" 2>"$out/$name.err" &
  llem=$!
  for _ in $(seq 240); do
    [ "$(card utilization.gpu)" -gt 60 ] && [ "$(card memory.used)" -gt 17000 ] && break
    sleep 0.5
  done
  sleep 5
  echo "killed: $(card memory.used) MiB in use"
  begin=$(date +%s%N)
  kill -9 $llem
  while [ "$(card memory.used)" -gt 1000 ] && [ $(($(date +%s%N) - begin)) -lt 60000000000 ]; do sleep 0.1; done
  echo "killed: $(card memory.used) MiB after $((($(date +%s%N) - begin) / 1000000)) ms; left: $(pgrep -fc "faulthandler -u .*main.py" || true) processes"
done
