#!/bin/bash
# Kills vLLM's API server, and then llem itself, while requests are in flight on a
# real GPU, and waits until the GPU's memory is free again.
#
#   tests/gpu/drill.sh BIN OUT GPU
#
# GPU is the index of the card, which must be the only one that is visible
# (CUDA_VISIBLE_DEVICES); the rest as for vllm.sh.
set -uo pipefail
bin=$(realpath "$1") out=$2 gpu=$3 here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v "${PYTHON:-python3}")
mkdir -p "$out" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins LLEM_DRILL=$$
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/vllm"
used() { nvidia-smi -i "$gpu" --query-gpu=memory.used --format=csv,noheader,nounits; }
# Our own processes, told by their environment.
ours() { grep -lsz "^LLEM_DRILL=$$\$" /proc/[0-9]*/environ | cut -d/ -f3 | grep -vx "$$" | while read -r p; do
  [ "$(ps -o ppid= -p "$p" | tr -d ' ')" = "$$" ] && [ "$(cat "/proc/$p/comm")" = drill.sh ] || echo "$p"; done; }
for victim in server host; do
  { sed "s#^\[backends.vllm\]#&\npython = \"$python\"\nenforce_eager = true#; /^\[backends.vllm.comp/,/^cudagraph_capture/d; s/^cycles = .*/cycles = 1/; s/^windows = .*/windows = 1/; s/^window_s = .*/window_s = 60/; s/^name = .*/name = \"drill-$victim\"/; /^\[sweep/,\$d; s/^mode = \"closed\"/&\nconcurrency = 32/" "$here/vllm.toml"; } >"$out/$victim.toml"
  echo "$victim: $(used) MiB before"
  "$bin/llem" run --out "$out/results" "$out/$victim.toml" >"$out/$victim.txt" 2>"$out/$victim.err" &
  llem=$!
  for _ in $(seq 240); do
    [ "$(nvidia-smi -i "$gpu" --query-gpu=utilization.gpu --format=csv,noheader,nounits)" -gt 60 ] && [ "$(used)" -gt 20000 ] && break
    sleep 0.5
  done
  sleep 4
  echo "$victim: $(used) MiB in use, $(ours | wc -l) processes"
  begin=$(date +%s%N)
  if [ $victim = server ]; then
    for p in $(ours); do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "cli.main serve" && kill -9 "$p" && break; done
  else
    kill -9 $llem
  fi
  while [ "$(used)" -gt 1000 ] && [ $(($(date +%s%N) - begin)) -lt 60000000000 ]; do sleep 0.1; done
  echo "$victim: $(used) MiB after $((($(date +%s%N) - begin) / 1000000)) ms"
  wait $llem
  echo "$victim: llem ended with $?; left: $(ours | wc -l) processes, $(used) MiB"
  tail -3 "$out/$victim.err"
done
