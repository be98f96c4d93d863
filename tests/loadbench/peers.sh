#!/usr/bin/env bash
# peers.sh OUT [OPTIONS OF peers.py...]: llem's load generator, `vllm bench serve`,
# aiperf and guidellm on one real vLLM server on the CPU. Environments are made here and
# cached outside the clone: 7 GB, minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1
shift
vllm=$(tests/engines/vllm-environment.sh)
aiperf=$(tests/engines/environment.sh aiperf tests/loadbench/aiperf-requirements.txt aiperf)
guidellm=$(tests/engines/environment.sh guidellm tests/loadbench/guidellm-requirements.txt msgpack --no-deps)
# It needs torch and transformers, which vLLM's environment has.
echo "$vllm/lib/$(basename "$(echo "$vllm"/lib/python*)")/site-packages" >"$(echo "$guidellm"/lib/python*/site-packages)/vllm.pth"
mkdir -p "$out"
"$vllm/bin/python" tests/engines/tiny_model.py "$out/model"
go build -o "$out/loadbench" ./tests/loadbench
"$vllm/bin/python" tests/loadbench/peers.py --vllm "$vllm" --aiperf "$aiperf" --guidellm "$guidellm" \
  --llem "$out/loadbench" --model "$(cd "$out/model" && pwd)" --out "$out/runs" "$@"
