#!/usr/bin/env bash
# environment.sh NAME REQUIREMENTS IMPORTS [PIP OPTIONS...]
# Makes a virtual environment, cached outside the clone under the hash of what is
# in it, and prints its directory. It fails if that cannot be done.
set -euo pipefail
name=$1 requirements=$2 imports=$3
shift 3
cache=${LLEM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llem-tests}
environment=$cache/$name-$(sha256sum "$requirements" | cut -c1-12)

if [ ! -e "$environment/complete" ]; then
  echo "making $environment" >&2
  rm -rf "$environment"
  mkdir -p "$cache"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" -r "$requirements" >&2
  # Compiled modules are part of the cache: without them an import of torch and
  # transformers takes three times as long.
  PYTHONDONTWRITEBYTECODE='' "$environment/bin/python" -c "import $imports" >&2
  touch "$environment/complete"
fi
echo "$environment"
