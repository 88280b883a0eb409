# taskscaler. `make` prints the list of targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
BIN      ?= bin
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BENCHSTAT:= golang.org/x/perf/cmd/benchstat@latest
SBOM     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
FUZZTIME ?= 5s
# The modules of this repository; go.work makes them one workspace. docs/adr/0030-modules.md says why there are several.
MODULES  := . pkg/simulate cmd/taskscaler plugins/aws plugins/gcp examples/docker-autoscaler-executor examples/plugin internal/test
PKGS     := $(foreach m,$(MODULES),./$(if $(filter .,$(m)),,$(m)/)...)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)
# Real counterparts: for the tests of the connector SSH servers, NTLM for a WinRM server, and a WinRM client; for those of an example a Docker engine and
# the programs of its images. Without them these tests are skipped and say so.
PEERS    := openssh-server dropbear-bin tinysshd socat gss-ntlmssp python3-gssapi python3-winrm docker.io docker-registry busybox-static awscli python3-boto3 python3-botocore python3-googleapi python3-google-auth-httplib2

.PHONY: help conformance build sbom install-peers demo demo-static demo-aws demo-simulate soak figures-trust test test-short fmt size-check vet tidy tidy-check lowest-build lowest lint arch generate generate-check fuzz examples bench bench-ssh bench-all bench-compile budgets dst dst-mutants dst-mutants-proof dst-mutants-tool security ci clean

help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build taskscaler and its plugins into bin/
	@mkdir -p $(BIN)
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/taskscaler ./plugins/fake/cmd/fleeting-plugin-fake ./plugins/static/cmd/fleeting-plugin-static ./plugins/aws/cmd/fleeting-plugin-aws

sbom: build ## write the software bill of materials of each binary into bin/, and check that it is complete
	@GO=$(GO) internal/test/sbom.sh $(SBOM) $(BIN)/taskscaler $(BIN)/fleeting-plugin-fake $(BIN)/fleeting-plugin-static $(BIN)/fleeting-plugin-aws

demo: ## run 40 jobs on a fleet of at most 5 instances on this machine, within a minute after the build
	@$(GO) run ./internal/test/demo

demo-static: ## run 12 jobs on three hosts that are always on: real SSH servers on this machine, each reset after every job
	@$(GO) run ./internal/test/demostatic

demo-aws: ## the demonstration of make demo with the plugin of AWS, on a stand-in for AWS on this machine whose instances are real SSH servers
	@$(GO) run ./internal/test/demoaws

# A month of a company, about 200,000 jobs: office hours by day, and 250 jobs each night.
MONTH := poisson:rate=730/h,profile=office,tz=Europe/Berlin,duration=lognormal:p50=4m,p95=22m,for=30d,tag=push + \
burst:size=250,every=1d,offset=1h,duration=lognormal:p50=6m,p95=20m,tag=nightly,for=30d
SIMULATE = $(BIN)/taskscaler simulate --config examples/simulate/hours.toml --model examples/simulate/model.toml \
  --workload '$(MONTH)' --timezone Europe/Berlin

demo-simulate: ## simulate a synthetic month (about 200,000 jobs) in a few seconds, and write a report as HTML
	@mkdir -p $(BIN)
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/taskscaler
	@$(SIMULATE) --timing
	@$(SIMULATE) --output $(BIN)/simulation.html
	@echo "open file://$(abspath $(BIN)/simulation.html)"

conformance: ## check our plugins against the contract, in process and through the command, and that every fault of the broken plugin is found
	@$(GO) run ./internal/test/conformance

T ?= 3m
soak: ## kill a manager, its plugin, clients and instances at random for T (3m), and check the records of the instances; SEED=n repeats one
	@$(GO) run ./internal/test/soak -for $(T) -seed $(or $(SEED),0)

# -count=1: go test does not notice changes outside a test's own module, such as documents and the binaries that suites build.
test: ## run all tests with the race detector; then list the skipped tests, why, and what they need
	@$(GO) run ./internal/test/skips -race -count=1 -timeout 20m $(PKGS)

test-short: ## run the tests without the race detector and without the long suites
	$(GO) test -short $(PKGS)

figures-trust: ## measure what a manager needs: descriptors, goroutines, memory, CPU; about 15 minutes; ONLY=regexp selects cases
	@$(GO) run ./internal/test/figures -only '$(ONLY)'

fmt: ## fail if gofmt would change a file
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed (run gofmt -w):"; echo "$$out"; exit 1; fi

# Files over 1 MB that the tests need, as patterns of paths.
TEST_DATA :=
size-check: ## fail if a tracked file is over 1 MB and is not declared as test data
	@git ls-files -z | { bad=; while IFS= read -r -d '' f; do \
	  [ -f "$$f" ] && [ ! -L "$$f" ] || continue; \
	  size=$$(wc -c < "$$f"); [ "$$size" -gt 1048576 ] || continue; \
	  for p in $(TEST_DATA); do case "$$f" in $$p) continue 2;; esac; done; \
	  echo "$$f has $$size bytes; a tracked file may have at most 1048576: remove it (git rm --cached, and a line in .gitignore), or add it to TEST_DATA in the Makefile if tests read it"; \
	  bad=1; done; [ -z "$$bad" ]; }

vet: ## run go vet
	$(GO) vet $(PKGS)

tidy: ## update go.mod and go.sum of every module
	@internal/test/tidy.sh

tidy-check: ## fail if make tidy would change a file
	@internal/test/tidy.sh check

# The library states the lowest versions that it needs. The workspace uses newer ones, because the application in it requires them. So these two
# targets do not use the workspace. lowest-build is part of make ci: the usual fault is an older version without a function that we call, and the
# compiler finds it.
lowest-build: ## compile the library with exactly the versions of its go.mod
	GOWORK=off $(GO) build ./...
	GOWORK=off $(GO) vet ./...

lowest: lowest-build ## lowest-build, and run the library's tests with these versions
	GOWORK=off $(GO) test -timeout 20m ./...

lint: ## run golangci-lint, at its pinned version
	$(GO) run $(LINT) run $(PKGS)

arch: ## check which package may import what, and that the pure packages are pure
	$(GO) test -count=1 ./internal/test/archtest/...

generate: ## write the generated files
	$(GO) generate $(PKGS)

generate-check: generate ## fail if a generated file is not up to date
	@git diff --exit-code -- '*.pb.go' docs cmd/taskscaler/internal/scaffold/template || { echo "generated files were not up to date: commit the files that make generate wrote"; exit 1; }

# Go's fuzzer sometimes ends with "context deadline exceeded" when its time is over, without a failing input (golang.org/issue/75804). That is not a
# failure.
fuzz: ## run every fuzz target for FUZZTIME
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

examples: ## build the examples, and run the embedding ones against the fake plugin
	$(GO) build -o $(BIN)/ ./examples/... ./examples/docker-autoscaler-executor ./plugins/fake/cmd/fleeting-plugin-fake
	$(BIN)/embed -plugin $(abspath $(BIN))/fleeting-plugin-fake
	$(BIN)/instance-executor examples/instance-executor/job.json
	$(MAKE) --no-print-directory demo-simulate

# The benchmarks that have a budget. To compare the raw output: make bench COUNT=10 > new.txt; go run $(BENCHSTAT) old.txt new.txt
ROWS := AcquireRelease|Reference|ListDiff|ScaleUpLatency|RandomRelease|Memory$$|TiledTrace|CheckedTrace
bench: ## run the benchmarks that have a budget, each beside its reference; the output is ready for benchstat
	@$(GO) test -run '^$$' -bench '$(ROWS)' -count $${COUNT:-1} ./pkg/taskscaler ./internal/scaler ./pkg/simulate ./internal/test/reference | $(GO) run ./internal/test/benchrows

bench-ssh: ## run our SSH beside OpenSSH's ssh, with the same server and cipher, and print the quotients (5 minutes; the machine should be quiet)
	@$(GO) test -run '^$$' -bench BesideOpenSSH -timeout 60m -count $${COUNT:-1} ./pkg/connector | $(GO) run ./internal/test/benchrows

bench-all: ## run every benchmark
	$(GO) test -run '^$$' -bench . -benchmem -count $${COUNT:-1} $(PKGS)

bench-compile: ## compile every benchmark and run it once
	$(GO) test -run '^$$' -bench . -benchtime 1x $(PKGS) > /dev/null

budgets: ## print the sizes of files and functions beside their budgets
	$(GO) test -count=1 -v -run 'Budget' ./internal/test/archtest/...

SEEDS ?= 20000
# The tests of SECURITY.md that need more than most machines of developers give: another user, a mount, a hostile peer.
SECURITY := Security|Legacy|SshdGroupExchange|SshdJumpHostIsToBlame|ShortHostKey|ShortPrivateKey|NoSignatureWithSHA1|PasswordNeedsAHostKey|HalfARequest|EndlessLine|TurnedAway|MoreConnections|SocketModes|Bounds|RefusalIsLinear|Impossible|KeyFilesThatAreNone|BlockedLog|LeaveTheFile|TestAccess|ByName|WinRMBasicIsKept|WinRMCertificates|WinRMLoginIsBound|PlainAnswer

security: ## run the tests of attacks (as root: all of them), and list what was skipped and why
	@[ "$$(id -u)" = 0 ] || echo "make security: not run as root, so the tests that need another user or a mount are skipped"
	@$(GO) run ./internal/test/skips -count=1 -run '$(SECURITY)' $$(grep -rlE 'func Test[A-Za-z]*($(SECURITY))' --include='*_test.go' pkg internal cmd | grep -v internal/test/ | xargs -n1 dirname | sort -u | sed 's,^,./,')

dst: ## run SEEDS schedules of the deterministic simulation (SEED=n replays one and prints its trace)
	@mkdir -p $(BIN)
	@$(GO) build -o $(BIN)/dst ./internal/test/dst/cmd/dst
	@$(BIN)/dst $(if $(SEED),-seed $(SEED),-seeds $(SEEDS))

dst-mutants: ## check that the simulation or the shell's tests find every fault of internal/test/dst/mutants; writes docs/mutants.md
	@$(GO) run ./internal/test/mutants kill

dst-mutants-proof: ## check that each of these faults builds and passes go vet and the unit tests
	@$(GO) run ./internal/test/mutants proof

dst-mutants-tool: ## run the first 50 mutants of a common tool; each survivor needs an explanation
	@$(GO) run ./internal/test/mutants tool -n 50

install-peers:
	@missing=; for p in $(PEERS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null || echo "could not install$$missing: tests that need them are skipped and say so"; \
	else echo "not installed:$$missing; tests that need them are skipped and say so"; fi

ci: install-peers fmt size-check vet tidy-check lowest-build lint arch generate-check test fuzz examples bench-compile demo demo-static demo-aws conformance ## run everything that CI runs

clean: ## remove everything that these targets built
	rm -rf $(BIN)
