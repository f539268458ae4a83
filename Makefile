# Tidemill's front door. Building and testing need Go only; the other targets fetch what they need
# into .tools, at the versions that tools/go.mod and tools/duckdb.sh pin. `make help` lists the targets.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS   += --no-print-directory

GO      ?= go
TOOLS   := .tools
STAGE   := tools/stage.sh
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# The S3 server of the storage tests: its version is in its name, for it shares no pins with the other tools.
VERSITYGW := v1.8.0

TEST_TIMEOUT ?= 10m
PKG          ?= ./...
BENCH        ?= .
COUNT        ?= 1
BENCHTIME    ?= 1s
FUZZTIME     ?= 10m
SEED         ?= 1
ONLY         ?=
DIFFERENCES  ?= 10

# The packages that start goroutines or share memory between them; they run under the race detector.
CONCURRENT := shuffle core/coordinator core/task core/worker core/rpc core/state core/spill core/client scheduler raftmeta \
	core/minicluster core/process core/memory core/metric fs/readahead fs/s3 fs/hdfs
# The packages whose costly self-checks are compiled in by `-tags invariants`.
CHECKED := core/invariant core/stream core/memory core/keygroup core/hashtable core/compute core/eventtime \
	core/checkpoint core/state core/operator core/task shuffle scheduler/execgraph scheduler/jobmaster

# existing turns directories into package patterns and drops those that do not hold Go code yet.
existing = $(foreach dir,$(1),$(if $(shell find $(dir) -name '*.go' -print -quit 2>/dev/null),./$(dir)/...))

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/tidemill: one static binary
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/tidemill ./cmd/tidemill

.PHONY: demo
demo: build ## Run a batch job and a live stream embedded, a cluster of processes, and the life of a streaming job
	examples/demo.sh
	examples/cluster.sh
	examples/streaming.sh

.PHONY: test
test: ## Run every test (Go only); PKG=./core/... narrows it
	$(GO) test -timeout $(TEST_TIMEOUT) $(PKG)

.PHONY: race
race: ## Run the concurrent packages and the embedded engine under the race detector
	@tools/need.sh gcc gcc libc6-dev
	CGO_ENABLED=1 $(GO) test -race -timeout $(TEST_TIMEOUT) $(call existing,$(CONCURRENT)) .
	CGO_ENABLED=1 $(GO) test -race -timeout $(TEST_TIMEOUT) -run 'TestConformance/.*/released' ./formats/...

.PHONY: invariants
invariants: ## Run the core with its self-checks compiled in
	$(GO) test -tags invariants -timeout $(TEST_TIMEOUT) $(call existing,$(CHECKED))

.PHONY: layers
layers: ## Check floors, walls and house rules
	$(GO) test -count=1 -run '^Test(House|Layers|Tree|.*Guard$$)' .

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: lint
lint: vet $(TOOLS)/golangci-lint ## Run go vet and golangci-lint
	$(TOOLS)/golangci-lint run ./...

.PHONY: fmt
fmt: $(TOOLS)/gofumpt ## Format all Go files
	$(TOOLS)/gofumpt -w .

.PHONY: fmt-check
fmt-check: $(TOOLS)/gofumpt ## List Go files that make fmt would change
	@unformatted=$$($(TOOLS)/gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "$$unformatted"; echo "run: make fmt"; exit 1; fi

.PHONY: generate
generate: $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Regenerate protobuf code and kernels
	@GO=$(GO) TOOLS=$(CURDIR)/$(TOOLS) tools/generate.sh

.PHONY: generate-check
generate-check: $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Fail if a generated file is out of date
	@GO=$(GO) TOOLS=$(CURDIR)/$(TOOLS) tools/generate.sh --check

.PHONY: verify-sql
verify-sql: $(TOOLS)/duckdb ## Compare SQL results with DuckDB's
	TIDEMILL_DUCKDB=$(CURDIR)/$(TOOLS)/duckdb $(GO) test -count=1 -timeout $(TEST_TIMEOUT) ./core/logictest/... ./bench/tpch/...

.PHONY: fuzz-sql
fuzz-sql: $(TOOLS)/duckdb ## Compare random SQL with DuckDB's answers (FUZZTIME=10m SEED=n ONLY=round/statement DIFFERENCES=n)
	TIDEMILL_DUCKDB=$(CURDIR)/$(TOOLS)/duckdb $(GO) test -count=1 -v -timeout 0 -run '^TestFuzzSQL$$' ./core/logictest/fuzz \
		-fuzz-time '$(FUZZTIME)' -fuzz-seed '$(SEED)' -fuzz-only '$(ONLY)' -fuzz-differences '$(DIFFERENCES)'

KILLS    ?= 20
DOCUMENT ?=
SCENARIO ?=

.PHONY: verify
verify: ## Kill processes of real clusters and compare results (KILLS=n SEED=n DOCUMENT=docs/reliability.md ARGS=..., or SCENARIO=name,...)
	@mkdir -p .cache/verify
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags failpoint -o .cache/verify/tidemill ./cmd/tidemill
	$(GO) run ./cmd/verify -tidemill .cache/verify/tidemill -kills $(KILLS) -seed $(SEED) -document '$(DOCUMENT)' -scenario '$(SCENARIO)' $(if $(JOBS),-jobs $(JOBS)) $(ARGS)

.PHONY: verify-ledger
verify-ledger: ## Kill processes under the ledger job and check its books (KILLS=n SEED=n)
	@mkdir -p .cache/verify
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags failpoint -o .cache/verify/tidemill ./cmd/tidemill
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags failpoint -o .cache/verify/ledger ./examples/ledger
	$(GO) run ./cmd/verify -tidemill .cache/verify/tidemill -ledger .cache/verify/ledger -kills $(KILLS) -seed $(SEED) $(ARGS)

.PHONY: verify-scenarios
verify-scenarios: ## Play all scenarios of make verify on little data
	@$(MAKE) verify SCENARIO=all ARGS='-scale 0.05'

.PHONY: test-storage
test-storage: $(TOOLS)/versitygw-$(VERSITYGW) ## Test the file systems against real servers
	TIDEMILL_VERSITYGW=$(CURDIR)/$< GO=$(GO) tools/storage/test.sh -timeout $(TEST_TIMEOUT)

.PHONY: test-streams
test-streams: ## Test Kafka tables against a real broker, which is killed, with workers, and comes back
	GO=$(GO) tools/streams/test.sh -timeout $(TEST_TIMEOUT)

.PHONY: bench
bench: $(TOOLS)/duckdb $(TOOLS)/benchstat ## Run benchmarks (BENCH=regexp PKG=./... COUNT=n BASE=file to compare)
	@mkdir -p .cache/bench
	TIDEMILL_DUCKDB=$(CURDIR)/$(TOOLS)/duckdb $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem \
		-count $(COUNT) -timeout 1h $(PKG) | tee .cache/bench/$(VERSION).txt
	@$(TOOLS)/benchstat $(BASE) .cache/bench/$(VERSION).txt

.PHONY: bench-peers
bench-peers: $(TOOLS)/peers/.ready ## Install what bench tpch compares with (DuckDB, Polars, tpchgen-cli)

$(TOOLS)/peers/.ready: tools/peers.sh
	@echo "installing the peers into .tools (once)"
	@tools/peers.sh $(TOOLS)/peers
	@touch $@

.PHONY: bench-flink
bench-flink: $(TOOLS)/flink/.ready ## Install Apache Flink, the peer of bench nexmark

$(TOOLS)/flink/.ready: tools/flink.sh tools/flink.sum
	@echo "installing Apache Flink into .tools (once, 400 MB)"
	@tools/flink.sh $(TOOLS)/flink
	@touch $@

.PHONY: test-flight
test-flight: $(TOOLS)/pyarrow/.ready ## Read a finished exchange with Arrow's own Flight client (pyarrow)
	TIDEMILL_PYARROW=$(CURDIR)/$(TOOLS)/pyarrow/bin/python $(GO) test -count=1 -timeout $(TEST_TIMEOUT) -run '^TestFlightClient' ./shuffle/service

$(TOOLS)/pyarrow/.ready: tools/pyarrow.sh
	@echo "installing pyarrow into .tools (once)"
	@tools/pyarrow.sh $(TOOLS)/pyarrow
	@touch $@

SCALE ?= 1
TPCH  := $(if $(DATA),$(DATA),.cache/tpch-$(SCALE) --scale $(SCALE))

.PHONY: bench-storage
bench-storage: build $(TOOLS)/versitygw-$(VERSITYGW) ## Compare TPC-H on S3 and HDFS with local files (DATA=DIR or SCALE=n, ARGS=...)
	TIDEMILL_VERSITYGW=$(CURDIR)/$(TOOLS)/versitygw-$(VERSITYGW) tools/storage/bench.sh bin/tidemill $(TPCH) $(ARGS)

.PHONY: ci
ci: ## Run everything that must be green before a merge
	@$(STAGE) format     $(MAKE) fmt-check
	@$(STAGE) build      $(MAKE) build
	@$(STAGE) layers     $(MAKE) layers
	@$(STAGE) lint       $(MAKE) lint
	@$(STAGE) generate   $(MAKE) generate-check
	@$(STAGE) test       $(MAKE) test
	@$(STAGE) invariants $(MAKE) invariants
	@$(STAGE) race       $(MAKE) race
	@$(STAGE) verify-sql $(MAKE) verify-sql
	@$(STAGE) storage    $(MAKE) test-storage
	@$(STAGE) streams    $(MAKE) test-streams
	@$(STAGE) flight     $(MAKE) test-flight
	@$(STAGE) demo       $(MAKE) demo

.PHONY: clean
clean: ## Remove what was built; the tools stay (make clean-tools removes them)
	rm -rf bin .cache demo-data

.PHONY: clean-tools
clean-tools: ## Remove .tools
	rm -rf .tools

.PHONY: tools
tools: $(addprefix $(TOOLS)/,golangci-lint gofumpt benchstat gotestsum protoc-gen-go protoc-gen-go-grpc duckdb) ## Install every development tool

# The tools are rebuilt when the pins change: their content counts, not their time, so a cached .tools
# serves a fresh clone.
PINS := tools/go.mod tools/go.sum tools/duckdb.sh

.PHONY: FORCE
$(TOOLS)/.pins: FORCE
	@mkdir -p $(TOOLS)
	@cat $(PINS) | cmp -s - $@ || cat $(PINS) >$@

TOOL_golangci-lint      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
TOOL_gofumpt            := mvdan.cc/gofumpt
TOOL_benchstat          := golang.org/x/perf/cmd/benchstat
TOOL_gotestsum          := gotest.tools/gotestsum
TOOL_protoc-gen-go      := google.golang.org/protobuf/cmd/protoc-gen-go
TOOL_protoc-gen-go-grpc := google.golang.org/grpc/cmd/protoc-gen-go-grpc

$(TOOLS)/versitygw-$(VERSITYGW):
	@echo "installing versitygw into .tools (once)"
	@mkdir -p $@.new
	@CGO_ENABLED=0 GOBIN=$(CURDIR)/$@.new $(GO) install -trimpath -ldflags '-s -w' github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)
	@mv $@.new/versitygw $@ && rmdir $@.new

$(TOOLS)/duckdb: $(TOOLS)/.pins
	@echo "installing duckdb into .tools (once)"
	@tools/duckdb.sh $@

$(TOOLS)/%: $(TOOLS)/.pins
	@echo "installing $* into .tools (once)"
	@cd tools && CGO_ENABLED=0 GOBIN=$(CURDIR)/$(TOOLS) $(GO) install -trimpath -ldflags '-s -w' $(TOOL_$*)
	@touch $@
