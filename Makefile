# Needs Go, make and git; see CONTRIBUTING.md. Tools come as Go modules, each
# set in a modfile of its own, so that the product's go.mod stays small.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# What "tenantry version" prints: a tag, or the commit, or dev without git.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Settings of the demo, such as ARGS='--tenants 100 --traffic'.
ARGS ?=
# How many times as long as before reads may take while nodes come and go, at the 99th
# percentile; 0: however long, where others use the machine too.
SLOWER ?= 3
# The version before this one, which nodes are upgraded from: a tag, or a commit.
PREVIOUS ?= 8d72043
# Which benchmarks.
BENCH ?= .
# How long each fuzz target runs.
FUZZTIME ?= 5s
# The bound of one package's tests: a hanging test shows its goroutines.
TEST_TIMEOUT ?= 10m

GOLANGCI_LINT := go tool -modfile=.golangci.mod golangci-lint

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/tenantry
	go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)" -o bin/tenantry ./cmd/tenantry

.PHONY: test
test: ## Run all tests under the race detector (installs redis-server if it may)
	@bash .ci/prepare-tests
	@bash .ci/test $(TEST_TIMEOUT)

.PHONY: clients
clients: build ## Call a node from Node.js, grpcurl, curl and redis-cli
	@bash .ci/clients/run

.PHONY: lint
lint: ## Check style, layering, formatting, go.mod
	go vet ./...
	go fix -diff ./...
	go mod tidy -diff
	$(GOLANGCI_LINT) run --allow-parallel-runners ./...
	@bash .ci/check-sleeps

.PHONY: fmt
fmt: ## Format the code and apply go fix
	go fix ./...
	$(GOLANGCI_LINT) fmt ./...

.PHONY: generate
generate: ## Generate proto/gen from the protos
	cd proto && go tool -modfile=tools.mod buf generate

.PHONY: check-generate
check-generate: ## Check that proto/gen is up to date and nothing published breaks
	@bash .ci/check-generate

.PHONY: bench
bench: ## Compare a node with its yardsticks, as docs/performance.md does (BENCH=regexp)
	@bash .ci/prepare-tests
	@bash .ci/bench '$(BENCH)'

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (5s), stopping at the first finding
	@bash .ci/fuzz $(FUZZTIME)

.PHONY: chaos
chaos: build ## Try for ten minutes to catch a node breaking its promise (ARGS='--help')
	@bash .ci/prepare-tests
	go run ./cmd/chaos --binary bin/tenantry $(ARGS)

.PHONY: mutations
mutations: ## Show that chaos catches a node that breaks a rule (ARGS='--seeds 3')
	@bash .ci/prepare-tests
	go build -trimpath -buildvcs=false -tags mutation -o bin/tenantry-mutation ./cmd/tenantry
	go run ./cmd/chaos mutations --binary bin/tenantry-mutation $(ARGS)

.PHONY: soak
soak: build ## Show that a node stays as it is for ten minutes (ARGS='--for 1m')
	@bash .ci/prepare-tests
	go run ./cmd/chaos soak --binary bin/tenantry $(ARGS)

.PHONY: recovery
recovery: build ## Measure how a node with 100 to 10,000 tenants comes back from a fault (ARGS='--tenants 100')
	@bash .ci/prepare-tests
	go run ./cmd/chaos recovery --binary bin/tenantry $(ARGS)

.PHONY: wake
wake: build ## Check what nodes answer when they wake, a hundred times (ARGS='--times 10')
	@bash .ci/prepare-tests
	go run ./cmd/chaos wake --binary bin/tenantry $(ARGS)

.PHONY: e2e
e2e: build ## Have nodes of a cluster of five break, then come and go in order, under traffic (ARGS='--nodes 3')
	@bash .ci/prepare-tests
	go run ./cmd/chaos e2e --binary bin/tenantry $(ARGS)
	go run ./cmd/chaos move --binary bin/tenantry --slower $(SLOWER) $(ARGS)

.PHONY: upgrade
upgrade: build ## Upgrade nodes from the version before and go back, under traffic (PREVIOUS=v1.2.3)
	@bash .ci/prepare-tests
	@bash .ci/build-previous $(PREVIOUS) bin/tenantry-previous
	go run ./cmd/chaos upgrade --previous bin/tenantry-previous --binary bin/tenantry $(ARGS)

.PHONY: handoff
handoff: build ## Measure what it takes to hand over 1,000 and 10,000 tenants (ARGS='--tenants 1000')
	@bash .ci/prepare-tests
	go run ./cmd/chaos handoff --binary bin/tenantry $(ARGS)

.PHONY: split
split: build ## Part the network of a cluster into halves and heal it; takes root (ARGS='--nodes 6')
	@bash .ci/prepare-tests
	go run ./cmd/chaos split --binary bin/tenantry $(ARGS)

.PHONY: scale
scale: build ## Measure what a node takes in clusters of 1, 2, 4 and 8 (ARGS='--sizes 1,3')
	@bash .ci/prepare-tests
	go run ./cmd/chaos scale --binary bin/tenantry $(ARGS)

.PHONY: demo
demo: build ## Run everything in one process, with requests to copy (ARGS='--help')
	./bin/tenantry demo $(ARGS)

.PHONY: ci
ci: lint check-generate build fuzz test clients e2e upgrade ## What CI runs: all of the checks
