#!/usr/bin/env bash
# sglang-environment.sh: makes the environment of SGLang for the CPU, cached outside
# the clone, and prints its directory. It lies upon vLLM's, whose packages it shares:
# torch and its libraries alone are four gigabytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
below=$(tests/engines/vllm-environment.sh)
environment=$(tests/engines/environment.sh sglang tests/engines/sglang-requirements.txt sys --no-deps)
site=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
below=$("$below/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ "$(cat "$environment/warm" 2>/dev/null)" != "$below" ]; then
  echo "$below" >"$site/below.pth"
  # The published kernels are for CUDA only; the CPU's paths call none of them.
  cp -r tests/engines/sgl_kernel "$site/"
  # Without compiled modules each of its processes starts twenty seconds later.
  PYTHONDONTWRITEBYTECODE='' OMP_NUM_THREADS=1 SGLANG_USE_CPU_ENGINE=1 "$environment/bin/python" -W ignore -c \
    'import sglang.launch_server, sglang.srt.entrypoints.http_server, sglang.srt.managers.scheduler, sglang.srt.managers.detokenizer_manager, sglang.srt.model_executor.model_runner, sglang.srt.models.llama' >&2
  echo "$below" >"$environment/warm"
fi
echo "$environment"
