#!/usr/bin/env bash
# Builds llem, every plugin and every example plugin from a module proxy made of
# this checkout: outside the workspace, in empty directories, as a stranger
# would. Then a stranger's plugin is installed, checked and run in a study.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
modules=github.com/llenergymeasure/llem
cache=$(go env GOMODCACHE)

# Versions of ours must never stay in the module cache: they would hide the next
# run's. Everything else in it is shared, so nothing is downloaded again.
forget() {
  chmod -R u+w "$cache/cache/download/github.com/llenergymeasure" "$cache/github.com/llenergymeasure" 2>/dev/null || true
  rm -rf "$cache/cache/download/github.com/llenergymeasure" "$cache/github.com/llenergymeasure"
}
trap 'forget; rm -rf "$work"' EXIT
forget

# Only what is committed or tracked is packed.
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$(mkdir -p "$work/src" && echo "$work/src")"
go build -o "$work/release" ./tests/release
plugins=$(cd plugins && ls)
dirs=("$work/src" "$work/src/sdk")
for p in $plugins; do dirs+=("$work/src/plugins/$p"); done
"$work/release" "$work/proxy" v0.0.0 "${dirs[@]}"

# The go command takes a version for immutable and would keep its list of files.
export GODEBUG=goindex=0
export GOWORK=off GOFLAGS=-mod=mod GONOSUMDB=$modules GONOSUMCHECK=1
export GOPROXY="file://$work/proxy,$(go env GOPROXY)"
export GOBIN="$work/bin"
mkdir -p "$work/empty" && cd "$work/empty"
go install -ldflags "-s -w" "$modules/cmd/llem@v0.0.0"
for p in $plugins; do
  go install -ldflags "-s -w" "$modules/plugins/$p@v0.0.0"
  "$work/bin/llem" plugins install --dir "$work/plugins" "$work/bin/$p"
done
for example in "$root"/examples/plugins/*/; do
  name=$(basename "$example")
  [ -e "$example/go.mod" ] || continue # Python: tests/engines/python.sh
  cp -r "$example" "$work/$name"
  (cd "$work/$name" && go mod tidy && go build -o "$work/bin/$name" .)
  "$work/bin/llem" plugins install --dir "$work/plugins" "$work/bin/$name"
  # It ends with 1 for an engine that this machine lacks, too: that is no broken rule.
  "$work/bin/llem" plugins check --plugin-dir "$work/plugins" "$name" 2>&1 | tee "$work/check" || grep -q ' rules, 0 broken, ' "$work/check"
done
"$work/bin/llem" run --plugin-dir "$work/plugins" --out "$work/results" "$work/echo/study.toml"
echo "release check: ok"
