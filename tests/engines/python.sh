#!/usr/bin/env bash
# python.sh TEST_PYTHON: the backend in plain Python, with an environment that has
# what it names and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
plugin=$(tests/engines/environment.sh plugin examples/plugins/python/requirements.txt grpc,google.protobuf,grpc_tools.protoc)
LLEM_TEST_ENVIRONMENT=$plugin "$1" -m pytest -q -p no:cacheprovider tests/engines/python_plugin.py
