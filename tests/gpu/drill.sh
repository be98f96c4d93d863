#!/bin/bash
# Kills vLLM's API server, and then llem itself, while requests are in flight on a
# real GPU, and waits until the GPU's memory is free again and no process is left.
#
#   tests/gpu/drill.sh BIN OUT GPU
#
# GPU is the index of the card, which must be the only one that is visible
# (CUDA_VISIBLE_DEVICES); the rest as for vllm.sh.
set -uo pipefail
bin=$(realpath "$1") out=$2 gpu=$3 here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v "${PYTHON:-python3}")
mkdir -p "$out" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/vllm"
card() { nvidia-smi -i "$gpu" --query-gpu="$1" --format=csv,noheader,nounits; }
ms() { echo $((($(date +%s%N) - begin) / 1000000)); }
# llem and what it started, told by an environment that this script has not itself.
# A process that has ended and is not yet reaped has none, and is not counted.
ours() { grep -lsz "^LLEM_DRILL=$$\$" /proc/[0-9]*/environ | cut -d/ -f3; }
for victim in server host; do
  { sed "s#^\[backends.vllm\]#&\npython = \"$python\"\nenforce_eager = true#; /^\[backends.vllm.comp/,/^cudagraph_capture/d; s/^cycles = .*/cycles = 1/; s/^windows = .*/windows = 1/; s/^window_s = .*/window_s = 60/; s/^name = .*/name = \"drill-$victim\"/; /^\[sweep/,\$d; s/^mode = \"closed\"/&\nconcurrency = 32/" "$here/vllm.toml"; } >"$out/$victim.toml"
  echo "$victim: $(card memory.used) MiB before"
  LLEM_DRILL=$$ "$bin/llem" run --out "$out/results" "$out/$victim.toml" >"$out/$victim.txt" 2>"$out/$victim.err" &
  llem=$!
  for _ in $(seq 240); do
    [ "$(card utilization.gpu)" -gt 60 ] && [ "$(card memory.used)" -gt 20000 ] && break
    sleep 0.5
  done
  sleep "${SECONDS_BUSY:-4}"
  echo "$victim: $(card memory.used) MiB in use, $(ours | wc -l) processes"
  begin=$(date +%s%N)
  if [ $victim = server ]; then
    for p in $(ours); do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "cli.main serve" && kill -9 "$p" && break; done
  else
    kill -9 $llem
  fi
  while [ "$(card memory.used)" -gt 1000 ] && [ "$(ms)" -lt 60000 ]; do sleep 0.1; done
  echo "$victim: $(card memory.used) MiB after $(ms) ms"
  wait $llem
  echo "$victim: llem ended with $? after $(ms) ms"
  most=$(($(ms) + 10000))
  while [ -n "$(ours)" ] && [ "$(ms)" -lt $most ]; do sleep 0.1; done
  echo "$victim: $(ours | wc -l) processes left after $(ms) ms"
  for p in $(ours); do echo "$victim: left: $p $(tr '\0' ' ' <"/proc/$p/cmdline" | cut -c1-200)"; done
  tail -3 "$out/$victim.err"
done
