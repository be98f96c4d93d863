#!/usr/bin/env bash
# environment.sh NAME REQUIREMENTS IMPORTS [UV OPTIONS...]
# Makes a virtual environment, cached outside the clone under the hash of what is
# in it, and prints its directory. It fails if that cannot be done.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1 requirements=$2 imports=$3
shift 3
cache=${LLEM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llem-tests}
environment=$cache/$name-$(sha256sum "$requirements" | cut -c1-12)

# setting NAME: what pip is configured to use, by its environment or its files.
setting() {
  python3 -m pip config list | sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | head -n 1
}

# installer prints the path of uv. It unpacks while it downloads, and links what two
# environments share: the largest are made in a third of pip's time. It does not read
# what pip is told of the index and of certificates.
installer() {
  local uv=$cache/uv-$(sha256sum tests/engines/uv-requirements.txt | cut -c1-12)
  if [ ! -e "$uv/complete" ]; then
    rm -rf "$uv"
    python3 -m venv "$uv"
    "$uv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/engines/uv-requirements.txt >&2
    touch "$uv/complete"
  fi
  echo "$uv/bin/uv"
}

if [ ! -e "$environment/complete" ]; then
  echo "making $environment" >&2
  rm -rf "$environment"
  mkdir -p "$cache"
  uv=$(installer)
  index=$(setting index-url) more=$(setting extra-index-url) wheels=$(setting find-links) certificates=$(setting cert)
  export UV_CACHE_DIR=$cache/uv-cache ${index:+UV_DEFAULT_INDEX="$index"} ${more:+UV_INDEX="$more"} \
    ${wheels:+UV_FIND_LINKS="$wheels"} ${certificates:+SSL_CERT_FILE="$certificates"}
  python3 -m venv "$environment"
  "$uv" pip install --quiet --python "$environment/bin/python" "$@" -r "$requirements" >&2
  # Compiled modules are part of the cache: without them an import of torch and
  # transformers takes three times as long.
  PYTHONDONTWRITEBYTECODE='' "$environment/bin/python" -c "import $imports" >&2
  touch "$environment/complete"
fi
echo "$environment"
