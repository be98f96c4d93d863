# Two commands matter: `make demo` and `make test`. Everything builds with Go
# and gcc alone; `make test-engines` makes the Python environments it needs.

SHELL := /bin/bash
ARCH  := $(shell uname -m)

# ggml's kernels are compiled by cgo; without vector flags they are up to 23
# times slower. One flag set for everything, since changing it rebuilds them.
ifeq ($(ARCH),x86_64)
VECTOR := -march=x86-64-v3
endif
# -w: the NVML and ggml sources print hundreds of warnings that are not ours.
export CGO_CFLAGS   := -O3 $(VECTOR) -w
export CGO_CXXFLAGS := -O3 $(VECTOR) -w

BUILD   := build
BIN     := $(BUILD)/llem
PLUGINS := $(BUILD)/plugins
NAMES   := ggml hostpower pytorch rapl replay sim tensorrt vllm
LDFLAGS := -s -w

.PHONY: all build plugins demo test test-engines truth bench bench-load lint generate generate-check release-check clean cover

all: build

build: $(BIN) plugins

.PHONY: $(BIN)
$(BIN):
	go build -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/llem

# Each plugin is built on its own and installed as any other plugin would be.
plugins: $(BIN)
	@mkdir -p $(BUILD)/bin
	@for p in $(NAMES); do \
	  go build -ldflags "$(LDFLAGS)" -o $(BUILD)/bin/$$p ./plugins/$$p && \
	  if ! cmp -s $(BUILD)/bin/$$p $(PLUGINS)/$$p/$$p; then \
	    $(BIN) plugins install --dir $(PLUGINS) $(BUILD)/bin/$$p || exit 1; fi || exit 1; \
	done

# The main job: a real study on the embedded engine, with a table at the end.
# Its plugins have just been built, so the lock beside the study is renewed.
demo: build
	@$(BIN) plugins lock --plugin-dir $(PLUGINS) examples/quickstart.toml
	$(BIN) run --plugin-dir $(PLUGINS) --out results examples/quickstart.toml

# All that needs Go and gcc only.
test:
	go vet work
	go test work

# Parts that need Python: they read what llem wrote with other tools.
test-engines: build
	tests/engines/run.sh

# Joules and intervals against what is known to be true, each figure beside its
# target. TRUTH=-quick for fewer studies, TRUTH=-write to renew docs/accuracy.md.
truth:
	go run ./tests/truth $(TRUTH)

# What llem itself costs, each figure beside its target.
bench: build
	@$(BIN) plugins lock --plugin-dir $(PLUGINS) examples/quickstart.toml
	go run ./tests/bench

# The load generator beside its peers, each figure beside its target. wrk is used
# where it is installed. BENCH=-repeats=1 for a short one.
bench-load:
	go build -o $(BUILD)/loadbench ./tests/loadbench
	$(BUILD)/loadbench -python "$$(tests/engines/environment.sh loadbench tests/loadbench/requirements.txt aiohttp)/bin/python" $(BENCH)

# Linters and generators are pinned in modules of their own.
bin/golangci-lint: tools/lint/go.mod
	cd tools/lint && GOWORK=off CGO_CFLAGS= go build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/buf: tools/buf/go.mod
	cd tools/buf && GOWORK=off CGO_CFLAGS= go build -o ../../bin/buf github.com/bufbuild/buf/cmd/buf
bin/protoc-gen-go: tools/gen/go.mod
	cd tools/gen && GOWORK=off go build -o ../../bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

lint: bin/golangci-lint bin/buf
	for m in . sdk $(addprefix plugins/,$(NAMES)); do (cd $$m && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done
	cd proto && ../bin/buf lint

generate: bin/buf bin/protoc-gen-go
	cd proto && ../bin/buf generate

# Fails if the committed code is not what the contract generates.
generate-check: generate
	git diff --exit-code -- sdk/internal/pb

release-check:
	tests/release/run.sh

clean:
	rm -rf $(BUILD) bin
