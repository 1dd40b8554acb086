# openflow. `make` lists the targets. Two commands set everything up on a fresh machine with Go: make demo, make test.

# One fixed set of build flags everywhere: another flag means building everything again.
export GOTOOLCHAIN = local
export CGO_ENABLED = 0

STATICCHECK   = honnef.co/go/tools/cmd/staticcheck@v0.8.2
WORKFLOWCHECK = go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0
FUZZ_TIME    ?= 30s
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Packages whose tests do not link the Temporal server: they build in seconds, also for the race detector.
LINKS_SERVER = /(temporal/embedded|node|fleet|demo|bench|cmd/openflow|tests/env|tests/attacks|tests/pages|tests/scenarios|tests/e2e)$$
LIGHT        = $(shell go list ./... | grep -vE '$(LINKS_SERVER)')

.DEFAULT_GOAL := help
.PHONY: help build reference demo test check services lint unit race scenarios fuzz bench compare big queue besieged replay-fixtures home-fixture golden clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

build: ## Build bin/openflow and bin/openflow-components
	go build -ldflags '-s -w -X main.commit=$(VERSION)' -o bin/ ./cmd/openflow ./cmd/openflow-components

reference: build ## Build bin/reference.tar: our components as an image of provider "reference", which is registered like anybody's
	go build -ldflags '-s -w -X main.provider=reference' -o bin/reference-components ./cmd/openflow-components
	bin/openflow image bin/reference-components bin/reference.tar

demo: reference ## Run the main job on three nodes of this machine (ARGS="--keep" …)
	bin/openflow demo $(ARGS)

test: services lint unit race ## Everything that the gate runs: installs and starts what it needs

services: ## Start Docker and install what the tests start themselves (PostgreSQL, Redis, RabbitMQ, a C compiler), where missing and allowed
	bash tests/services/docker.sh
	bash tests/services/postgres.sh
	bash tests/services/compiler.sh
	bash tests/services/redis.sh
	bash tests/services/rabbitmq.sh

lint: ## Formatting, vet, staticcheck, determinism of workflows, tidiness, version pins
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	go mod tidy -diff
	@test "$$(go list -m -f '{{.Version}}' go.opentelemetry.io/otel/log)" = v0.20.0 || { echo "otel/log must stay at v0.20.0 (docs/dependencies.md)"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go run $(WORKFLOWCHECK) ./workflows

unit: build ## All tests: units, conformance, replay, scenarios, end to end with containers
	@test -d $${OPENFLOW_TEST_DATA:-../shared/data} || echo "no real data in $${OPENFLOW_TEST_DATA:-../shared/data}: tests with data run on the generated set only"
	go test -timeout 45m -p 2 ./...

race: ## The race detector: packages that do not link the Temporal server (less docker/engine and tests/arch), one training, and one scenario
	CGO_ENABLED=1 go test -race -timeout 30m -p 2 $(filter-out openflow/docker/engine openflow/tests/arch openflow/components/lr,$(LIGHT))
	CGO_ENABLED=1 go test -race -timeout 30m -run 'TestEveryRoundHasItsOwnKey|TestMessagesHideData|TestLossIsKnownToTheGuest' ./components/lr
	CGO_ENABLED=1 go test -race -timeout 30m -run 'TestScenarios' ./tests/scenarios

fuzz: ## Every fuzz target for FUZZ_TIME each
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
		echo "$$p $$f"; go test -run xxx -fuzz "^$$f$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 1x $$p || exit 1; done; done

bench: build ## Measure against the budgets and, where ../shared/floor is, the floor; writes tests/bench/results.json
	go run ./tests/bench -bin bin $(ARGS)

compare: build ## Measure the commit BEFORE and this tree in ten pairs; writes docs/comparison.md (35 minutes, on a machine that does nothing else)
	@git rev-parse --verify --quiet "$(BEFORE)^{commit}" >/dev/null || { echo "BEFORE=<commit> names the build to compare with"; exit 1; }
	go build -o bin/bench ./tests/bench
	before=$$(mktemp -d)/before; trap 'git worktree remove --force "$$before"' EXIT; git worktree add --detach "$$before" $(BEFORE) && \
	(cd "$$before" && $(MAKE) build && go build -o bin/bench $$(ls -d ./tests/bench ./bench 2>/dev/null)) && \
	go run ./tests/bench/compare -before "$$before" -before-name $(BEFORE) -after-name $(VERSION) -doc docs/comparison.md $(ARGS)

besieged: build ## How long users wait while strangers hold a thousand connections; the last result is in docs/performance.md
	go run ./tests/bench -bin bin -parts strangers -out bin/besieged.json

big: ## Ten million rows through a node, watching its memory; the last result is in docs/performance.md
	OPENFLOW_BIG=1 go test -count=1 -timeout 30m -v -run TestManyRows ./tests/scenarios

queue: ## A thousand jobs that wait, then run; the last result is in docs/performance.md
	OPENFLOW_BIG=1 go test -count=1 -timeout 30m -v -run TestManyJobsWait ./tests/scenarios

replay-fixtures: build ## Record histories of this (released) version into workflows/testdata/replay
	@git diff --quiet HEAD -- workflows activities || { echo "commit first: fixtures come from released code"; exit 1; }
	go test -tags record -count=1 -run 'TestRecord.*Histories' ./tests/scenarios

home-fixture: build ## Pack a home of this (released) version into tests/testdata/homes: every later version must start on it
	@git diff --quiet HEAD || { echo "commit first: fixtures come from released code"; exit 1; }
	VERSION=$(VERSION) go test -tags record -count=1 -v -run TestRecordHome ./tests/scenarios

golden: ## Rewrite golden files and docs/settings.md, then show the difference
	go test ./sdk/wire/... ./server/... ./cmd/openflow/settings -update; git --no-pager diff --stat

clean: ## Remove what was built
	rm -rf bin tests/bench/results.json
