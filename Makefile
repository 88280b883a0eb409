# taskscaler. `make` prints what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
BIN      ?= bin
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BENCHSTAT:= golang.org/x/perf/cmd/benchstat@latest
FUZZTIME ?= 5s
# The modules of this repository; go.work makes them one workspace. docs/adr/0030-modules.md says why there are four.
MODULES  := . pkg/simulate cmd/taskscaler internal/test
PKGS     := $(foreach m,$(MODULES),./$(if $(filter .,$(m)),,$(m)/)...)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)
# Servers that the connector's suite meets for real. Without them those tests say so and are skipped.
PEERS    := openssh-server dropbear-bin tinysshd socat

.PHONY: help build install-peers demo demo-simulate soak test test-short fmt size-check vet tidy tidy-check lowest-build lowest lint arch generate generate-check fuzz examples bench bench-all bench-compile budgets dst dst-mutants dst-mutants-proof dst-mutants-tool ci clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## taskscaler and the fake plugin into bin/, a working installation
	@mkdir -p $(BIN)
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/taskscaler ./plugins/fake/cmd/fleeting-plugin-fake

demo: ## 40 jobs on a fleet of machines made here: the main job, end to end, within a minute
	@$(GO) run ./internal/test/demo

# A month of a company's jobs, about 200,000: its days by profile, and 250 jobs each night.
MONTH := poisson:rate=730/h,profile=office,tz=Europe/Berlin,duration=lognormal:p50=4m,p95=22m,for=30d,tag=push + \
burst:size=250,every=1d,offset=1h,duration=lognormal:p50=6m,p95=20m,tag=nightly,for=30d
SIMULATE = $(BIN)/taskscaler simulate --config examples/simulate/hours.toml --model examples/simulate/model.toml \
  --workload '$(MONTH)' --timezone Europe/Berlin

demo-simulate: ## a synthetic month (about 200,000 jobs) simulated in a second or two, and its report as HTML
	@mkdir -p $(BIN)
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/taskscaler
	@$(SIMULATE) --timing
	@$(SIMULATE) --output $(BIN)/simulation.html
	@echo "open file://$(abspath $(BIN)/simulation.html)"

T ?= 3m
soak: ## a manager under fire for T (3m): kills at random moments, judged by the instances' own records; SEED=n repeats one
	@$(GO) run ./internal/test/soak -for $(T) -seed $(or $(SEED),0)

# -count=1: go test does not notice changes outside a test's own module, such as documents and the binaries that suites build.
test: ## everything, with the race detector; at its end what was left out, why, and what brings it
	@$(GO) run ./internal/test/skips -race -count=1 -timeout 20m $(PKGS)

test-short: ## without the race detector and the long suites
	$(GO) test -short $(PKGS)

fmt: ## fail where gofmt would change something
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed (run gofmt -w):"; echo "$$out"; exit 1; fi

# Files over 1 MB that belong to the tests, as patterns of paths.
TEST_DATA :=
size-check: ## fail where a tracked file is over 1 MB and is no declared test data
	@git ls-files -z | { bad=; while IFS= read -r -d '' f; do \
	  [ -f "$$f" ] && [ ! -L "$$f" ] || continue; \
	  size=$$(wc -c < "$$f"); [ "$$size" -gt 1048576 ] || continue; \
	  for p in $(TEST_DATA); do case "$$f" in $$p) continue 2;; esac; done; \
	  echo "$$f has $$size bytes, and a tracked file may have 1048576: remove it (git rm --cached, and a line in .gitignore), or name it in TEST_DATA in the Makefile if tests read it"; \
	  bad=1; done; [ -z "$$bad" ]; }

vet: ## go vet
	$(GO) vet $(PKGS)

tidy: ## go.mod and go.sum of every module up to date
	@internal/test/tidy.sh

tidy-check: ## fail where make tidy would change something
	@internal/test/tidy.sh check

# A library states the lowest versions that it needs. The workspace uses newer ones, because an application in it asks for them; so these two
# leave the workspace. lowest-build goes into make ci: that an older version lacks what we call is what happens, and the compiler sees it.
lowest-build: ## the library's module compiles with exactly the versions of its go.mod
	GOWORK=off $(GO) build ./...
	GOWORK=off $(GO) vet ./...

lowest: lowest-build ## lowest-build, and the library's tests with these versions
	GOWORK=off $(GO) test -timeout 20m ./...

lint: ## golangci-lint, at its pinned version
	$(GO) run $(LINT) run $(PKGS)

arch: ## the import law and the pure line
	$(GO) test -count=1 ./internal/test/archtest/...

generate: ## write the generated files again
	$(GO) generate $(PKGS)

generate-check: generate ## fail when a generated file is not up to date
	@git diff --exit-code -- '*.pb.go' docs || { echo "generated files were not up to date: commit what make generate wrote"; exit 1; }

# Go's fuzzer sometimes ends a target at its time with "context deadline exceeded" and no failing input (golang.org/issue/75804): that is no finding.
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$($(GO) list $(PKGS)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    if out=$$($(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg 2>&1); then \
	      echo "fuzz $$pkg $$f: $$(grep -o 'execs: [0-9]*' <<<"$$out" | tail -n 1)"; \
	    elif grep -q 'context deadline exceeded' <<<"$$out" && ! grep -q 'Failing input' <<<"$$out"; then \
	      echo "fuzz $$pkg $$f: $$(grep -o 'execs: [0-9]*' <<<"$$out" | tail -n 1), ended by the fuzzer's own deadline"; \
	    else \
	      echo "$$out"; exit 1; \
	    fi; \
	  done; \
	done

examples: ## build the examples and run the embedding one against the fake plugin
	$(GO) build -o $(BIN)/ ./examples/... ./plugins/fake/cmd/fleeting-plugin-fake
	$(BIN)/embed -plugin ./$(BIN)/fleeting-plugin-fake
	$(MAKE) --no-print-directory demo-simulate

# The rows of the house's budgets. The raw output comes first: make bench COUNT=10 > new.txt; go run $(BENCHSTAT) old.txt new.txt
ROWS := AcquireRelease|Reference|ListDiff|ScaleUpLatency|RandomRelease|Memory$$|TiledTrace|CheckedTrace
bench: ## every budget of speed and memory beside its reference in the same run, ready for benchstat
	@$(GO) test -run '^$$' -bench '$(ROWS)' -count $${COUNT:-1} ./pkg/taskscaler ./internal/scaler ./pkg/simulate ./internal/test/reference | $(GO) run ./internal/test/benchrows

bench-all: ## every benchmark there is
	$(GO) test -run '^$$' -bench . -benchmem -count $${COUNT:-1} $(PKGS)

bench-compile: ## every benchmark compiles and runs once
	$(GO) test -run '^$$' -bench . -benchtime 1x $(PKGS) > /dev/null

budgets: ## sizes of files and functions beside the house's budgets
	$(GO) test -count=1 -v -run 'Budget' ./internal/test/archtest/...

SEEDS ?= 20000
dst: ## SEEDS schedules of deterministic simulation (SEED=n replays one and prints its trace)
	@mkdir -p $(BIN)
	@$(GO) build -o $(BIN)/dst ./internal/test/dst/cmd/dst
	@$(BIN)/dst $(if $(SEED),-seed $(SEED),-seeds $(SEEDS))

dst-mutants: ## every fault of internal/test/dst/mutants is found by the simulation or the shell's suites; writes docs/mutants.md
	@$(GO) run ./internal/test/mutants kill

dst-mutants-proof: ## each of those faults builds, is vetted and passes the unit tests
	@$(GO) run ./internal/test/mutants proof

dst-mutants-tool: ## the first 50 mutants of an off-the-shelf tool; each survivor has an explanation
	@$(GO) run ./internal/test/mutants tool -n 50

install-peers:
	@missing=; for p in $(PEERS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null || echo "could not install$$missing: the suites that need them will say so"; \
	else echo "not installed:$$missing; the suites that need them will say so"; fi

ci: install-peers fmt size-check vet tidy-check lowest-build lint arch generate-check test fuzz examples bench-compile demo ## what CI runs

clean: ## remove what the targets above built
	rm -rf $(BIN)
