# Everything that is done with gistmill. CI calls these targets and nothing else.
# build, run and test need Go, gcc and make. Each other target says what it needs.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

GO        ?= go
BIN       := bin
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS   := -s -w -X main.version=$(VERSION)
DOCUMENTS ?= examples/documents
OUT       ?= summaries
PAPERS    ?= ../shared/data/papers.jsonl
FUZZTIME  ?= 10m
FUZZ      ?=
LINES     ?= 1000000
IMAGE     ?= gistmill:$(or $(VERSION),dev)
REGISTRY  ?= ghcr.io/gistmill
RELEASE   := $(patsubst v%,%,$(VERSION))
HELMFLAGS ?=
TESTFLAGS ?=
BENCHFLAGS ?=
CHAOSFLAGS ?=

##@ Use it

.PHONY: help
help: ## List everything that can be done here
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables: OUT, DOCUMENTS, TESTFLAGS, BENCHFLAGS, CHAOSFLAGS, FUZZTIME, FUZZ, PAPERS, LINES, IMAGE, VERSION, REGISTRY (make run OUT=/tmp/x)\n'

.PHONY: build
build: ## Build bin/gistmill, one static file
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/gistmill ./cmd/gistmill

.PHONY: run
run: build ## Summarize the sample documents into ./summaries (no network, no key)
	$(BIN)/gistmill run $(DOCUMENTS) --out $(OUT)
	@printf '\nOne of them, %s:\n\n' "$$(find $(OUT) -name '*.md' | sort | head -n 1)"
	@cat "$$(find $(OUT) -name '*.md' | sort | head -n 1)"

.PHONY: completion
completion: build ## Write shell completions to bin/completion
	@mkdir -p $(BIN)/completion
	$(BIN)/gistmill completion bash > $(BIN)/completion/gistmill.bash
	$(BIN)/gistmill completion zsh > $(BIN)/completion/_gistmill
	$(BIN)/gistmill completion fish > $(BIN)/completion/gistmill.fish

.PHONY: image
image: ## Write the container image for amd64 and arm64 to bin/image.tar, an OCI archive (no Docker needed)
	@mkdir -p $(BIN)
	$(GO) run ./deploy/image/command -version '$(or $(VERSION),dev)' -revision "$$(git rev-parse HEAD)" -created "$$(git log -1 --format=%ct)" -out $(BIN)/image.tar

.PHONY: image-docker
image-docker: ## Build the same with the Dockerfile (needs Docker)
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE) .

##@ Try it

.PHONY: test
test: ## Run all tests that need nothing but this machine, with the race detector
	$(GO) test -race $(TESTFLAGS) ./...

# Packages with tests for real servers have a build tag. Each is run whole, one after
# another, because they share the servers.
.PHONY: integration
integration: ## Run the tests against a real Redis and PostgreSQL (make services starts them)
	@servers=$$(.ci/services env); eval "$$servers"; \
	packages=$$(grep -rlE --include='*_test.go' '^//go:build .*\bintegration\b' . | xargs -r -n 1 dirname | sort -u); \
	test -n "$$packages" || { echo 'no test has the build tag integration' >&2; exit 1; }; \
	set -x; $(GO) test -race -count=1 -p 1 -timeout 20m -tags integration $(TESTFLAGS) $$packages

# Redis is away for a minute, PostgreSQL for longer than a lease, a worker is frozen for two
# minutes, and clocks are minutes apart, for which the program is compiled a second time.
.PHONY: integration-long
integration-long: ## Run the outages of test/integration at full length, and workers with wrong clocks (make services)
	@servers=$$(.ci/services env); eval "$$servers"; \
	set -x; $(GO) test -race -count=1 -timeout 40m -tags integration,long $(TESTFLAGS) ./test/integration

.PHONY: chart
chart: $(BIN)/tools/helm3 $(BIN)/tools/helm4 $(BIN)/tools/promtool ## Check the Helm chart with Helm 3 and 4: lint, real types, Pod Security, KEDA's settings, alerts
	$(GO) test -count=1 -tags chart $(TESTFLAGS) ./deploy/...

# Builds Kubernetes and KEDA once, about 20 minutes on two cores, and keeps them in GISTMILL_CLUSTER_CACHE,
# else in the user's cache folder. Without the race detector, which would watch the tests and not the pods.
.PHONY: e2e
e2e: $(BIN)/tools/helm4 ## Run the chart on a whole real Kubernetes with KEDA (as root; test/e2e/README.md)
	$(GO) run ./test/e2e/cluster/command build
	$(GO) test -count=1 -timeout 20m -tags e2e $(TESTFLAGS) ./test/e2e

# In simulated time hours take seconds of processor time; with the race detector they would take minutes.
.PHONY: simulate
simulate: ## Run the limiter against every kind of limit, minutes of it in simulated time
	$(GO) test -count=1 -tags simulation -run 'More|TenMinutes' $(TESTFLAGS) ./internal/llm/limiter

.PHONY: property
property: ## Run 10,000 random sequences of commands against a fake endpoint, about an hour (make test runs 200)
	$(GO) test -count=1 -timeout 6h -run TestSequences $(TESTFLAGS) ./cmd/gistmill -rapid.checks=10000

.PHONY: chaos
chaos: ## Kill, stop, flush and cut off everything while 10,000 documents are worked on, 20 minutes (test/chaos/README.md)
	$(GO) run ./test/chaos -out test/chaos/RESULTS.md $(CHAOSFLAGS)

.PHONY: chaos-short
chaos-short: ## Two minutes of it
	$(GO) run ./test/chaos -short -scenario storm,sigterm $(CHAOSFLAGS)

.PHONY: soak
soak: ## Work steadily for half an hour and look whether anything grows (CHAOSFLAGS='-soak 2h')
	$(GO) run ./test/chaos -scenario soak -out test/chaos/RESULTS.md $(CHAOSFLAGS)

.PHONY: services
services: ## Start a Redis and a PostgreSQL for the tests on free loopback ports
	@.ci/services start

.PHONY: services-stop
services-stop: ## Stop them and delete what they stored
	@.ci/services stop

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, and print what each has done (FUZZ=extract/FuzzPDF: only those)
	$(GO) run ./test/fuzz -time $(FUZZTIME) -only '$(FUZZ)'

.PHONY: bench
bench: ## Judge limits, budget and throughput of the LLM engine, 25 minutes (make services; BENCHFLAGS=-quick: 3)
	@servers=$$(.ci/services env); eval "$$servers"; \
	set -x; $(GO) run ./test/bench/llm $(BENCHFLAGS)

.PHONY: bench-go
bench-go: ## Run the Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem $(TESTFLAGS) ./...

.PHONY: bench-quality
bench-quality: ## Compare the extractive engine with Lead and LexRank by ROUGE on PAPERS
	$(GO) run ./test/quality -papers $(PAPERS)

.PHONY: bench-checks
bench-checks: ## Measure false alarms and detection of the checks on summaries with PAPERS
	$(GO) run ./test/quality -papers $(PAPERS) -checks test/quality/CHECKS.md

.PHONY: bench-enqueue
bench-enqueue: ## Measure enqueue of a .jsonl file with LINES documents (make services)
	@servers=$$(.ci/services env); eval "$$servers"; \
	set -x; $(GO) run ./test/bench/enqueue -lines $(LINES)

##@ Release it

# The chart has the version of the program, and with it uses the image of the same release.
.PHONY: publish
publish: $(BIN)/tools/helm4 ## Push image and chart of VERSION to REGISTRY, and their digests to bin/published
	@mkdir -p $(BIN)
	$(GO) run ./deploy/image/command -version '$(RELEASE)' -revision "$$(git rev-parse HEAD)" -created "$$(git log -1 --format=%ct)" \
	  -push $(REGISTRY)/gistmill > $(BIN)/published
	$(BIN)/tools/helm4 package deploy/chart/gistmill --version '$(RELEASE)' --app-version '$(RELEASE)' --destination $(BIN)
	$(BIN)/tools/helm4 push $(BIN)/gistmill-$(RELEASE).tgz oci://$(REGISTRY)/charts $(HELMFLAGS) 2>&1 | tee /dev/stderr \
	  | awk '/^Pushed: / { name = $$2 } /^Digest: / { print name "@" $$2; found = 1 } END { exit !found }' >> $(BIN)/published

# Static, so that one file serves every Linux of its architecture.
.PHONY: binaries
binaries: ## Build the release's programs for Linux on amd64 and arm64, and their checksums, to bin/release
	@mkdir -p $(BIN)/release
	for arch in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/release/gistmill-linux-$$arch ./cmd/gistmill; \
	done
	cd $(BIN)/release && sha256sum gistmill-linux-* > SHA256SUMS

.PHONY: sbom
sbom: build $(BIN)/tools/cyclonedx-gomod ## List what is in bin/gistmill to bin/sbom.json (CycloneDX)
	$(BIN)/tools/cyclonedx-gomod bin -json -version '$(RELEASE)' -output $(BIN)/sbom.json $(BIN)/gistmill

##@ Keep it in order

.PHONY: check
check: lint test ## Run what must pass before a commit: lint and test

.PHONY: docs
docs: ## Rewrite the generated tables in docs/, and the sample output and the picture in README.md
	$(GO) test -count=1 -run 'TestGeneratedTables|TestFirstSteps|TestPictureOfFirstSession' ./cmd/gistmill -update

# The linter is built once from the versions that tools/go.mod pins, about three
# minutes on two cores, and again when these change.
$(BIN)/tools/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p $(@D)
	cd tools && $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/tools/govulncheck: tools/go.mod tools/go.sum
	@mkdir -p $(@D)
	cd tools && $(GO) build -o ../$@ golang.org/x/vuln/cmd/govulncheck

# Both Helms, because the chart must work with each.
$(BIN)/tools/helm3 $(BIN)/tools/helm4: $(BIN)/tools/helm%: tools/helm/go.mod tools/helm/go.sum
	@mkdir -p $(@D)
	cd tools/helm && CGO_ENABLED=0 $(GO) build -o ../../$@ helm.sh/helm/v$*/cmd/helm

# Without the service discoveries: they are most of the program, and rules do not use them.
$(BIN)/tools/promtool: tools/promtool/go.mod tools/promtool/go.sum
	@mkdir -p $(@D)
	cd tools/promtool && CGO_ENABLED=0 $(GO) build -tags remove_all_sd -o ../../$@ github.com/prometheus/prometheus/cmd/promtool

$(BIN)/tools/actionlint: tools/actionlint/go.mod tools/actionlint/go.sum
	@mkdir -p $(@D)
	cd tools/actionlint && CGO_ENABLED=0 $(GO) build -o ../../$@ github.com/rhysd/actionlint/cmd/actionlint

$(BIN)/tools/cyclonedx-gomod: tools/sbom/go.mod tools/sbom/go.sum
	@mkdir -p $(@D)
	cd tools/sbom && CGO_ENABLED=0 $(GO) build -o ../../$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

.PHONY: lint
lint: $(BIN)/tools/golangci-lint $(BIN)/tools/actionlint ## Check form and style: gofmt, go vet, golangci-lint, go.mod, workflows
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	test -z "$$unformatted" || { printf 'not formatted, run make fmt:\n%s\n' "$$unformatted" >&2; exit 1; }
	$(GO) vet -tags integration,long,simulation,benchmark,chart,e2e ./...
	$(BIN)/tools/golangci-lint run ./...
	$(GO) mod tidy -diff
	$(BIN)/tools/actionlint -shellcheck= -pyflakes=

.PHONY: fmt
fmt: $(BIN)/tools/golangci-lint ## Format all Go files
	$(BIN)/tools/golangci-lint fmt ./...

.PHONY: vuln
vuln: $(BIN)/tools/govulncheck ## Look for known vulnerabilities (needs the Go vulnerability database)
	$(BIN)/tools/govulncheck ./...

.PHONY: clean
clean: ## Delete what was built and what make run wrote
	rm -rf $(BIN) summaries .gistmill
