#!/bin/bash
# vllm-shapes.toml on one server that runs already, which takes a third of the time
# that a load for each cell does: joules by phase on a real NVIDIA GPU, and a study with
# mode = "attach". No network is used.
#
#   tests/gpu/vllm_attached.sh BIN OUT
#
# As for vllm.sh. CONFIG_JSON is the model's config, the 8B shape if unset; PORT and
# SERVER_ARGUMENTS are the server's.
set -euo pipefail
bin=$(realpath "$1") out=$2 here=$(cd "$(dirname "$0")" && pwd)
python=$(command -v "${PYTHON:-python3}") port=${PORT:-8123}
mkdir -p "$out/model" && out=$(realpath "$out")
export HF_HUB_OFFLINE=1 LLEM_PLUGIN_DIR=$out/plugins
"$bin/llem" plugins install --dir "$LLEM_PLUGIN_DIR" "$bin/vllm"
sed 's/^{/{"architectures": ["LlamaForCausalLM"], /' "${CONFIG_JSON:-$here/../../plugins/pytorch/shapes/8b.json}" >"$out/model/config.json"
# The study's parameters are this server's arguments.
arguments=(--dtype bfloat16 --max-model-len 2048 --gpu-memory-utilization 0.85
  --compilation-config '{"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY", "cudagraph_capture_sizes": [1, 8, 32, 128]}')
[ -z "${SERVER_ARGUMENTS:-}" ] || read -ra arguments <<<"$SERVER_ARGUMENTS"
"$python" -m vllm.entrypoints.cli.main serve "$out/model" --served-model-name llem/random-8b --load-format dummy --skip-tokenizer-init \
  --generation-config vllm --no-enable-prefix-caching --enable-prompt-tokens-details --disable-uvicorn-access-log \
  --host 127.0.0.1 --port "$port" "${arguments[@]}" >"$out/server.txt" 2>&1 &
server=$!
trap 'kill -INT $server; wait $server || true' EXIT
until "$python" -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/health')" 2>/dev/null; do
  kill -0 $server || { tail -20 "$out/server.txt"; exit 1; }
  sleep 1
done
sed '/^\[backends.vllm\]/,/^\[sweep\]/c[backends.vllm]\nmode = "attach"\nurl = "http://127.0.0.1:'"$port"'"\n\n[sweep]' "${STUDY:-$here/vllm-shapes.toml}" |
  sed 's/^name = .*/name = "gpu-vllm-attached"/' >"$out/vllm-attached.toml"
timeout --signal=INT "${SECONDS_MOST:-36000}" "$bin/llem" run --out "$out/results" "$out/vllm-attached.toml" 2>"$out/vllm-attached.err" | tee "$out/vllm-attached.txt"
