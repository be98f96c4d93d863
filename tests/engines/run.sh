#!/usr/bin/env bash
# Tests that need Python: engines that are written in it, and what llem writes,
# read by other tools. Virtual environments are made here and cached outside the
# clone. Each part is a script of its own and says how long it took.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

part() {
  local from=$SECONDS
  tests/engines/"$@"
  echo "test-engines: $1 took $((SECONDS - from)) s"
}

python=$(tests/engines/environment.sh python tests/engines/requirements.txt pyarrow,pytest,numpy)/bin/python
"$python" tests/engines/tiny_model.py "$work/model"
part results.sh "$python"
part python.sh "$python"
for engine in pytorch llamacpp vllm sglang; do
  part "$engine.sh" "$work/model"
done
