# Everything here needs Go alone; "make test" and the like bring their own PostgreSQL (internal/testpg).

GOLANGCI_LINT = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.2
BENCHSTAT     = go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
WITHPG        = go run ./internal/testpg/cmd/withpg

# What the targets below take from the command line: make test PKG=./auth/... FLAGS='-run Revoked -v'
PKG      ?= ./...
FLAGS    ?=
FUZZTIME ?= 30s
BENCH    ?= .

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve from source, with SQLite in ./data
	go run ./cmd/portaria serve

.PHONY: build
build: ## the static binary and the image's files, into ./dist
	docker/build.sh dist

.PHONY: test
test: ## every test, on both engines
	$(WITHPG) -- go test -timeout 30m $(FLAGS) $(PKG)

# wasim's own tests drive bare whatsmeow clients, which have data races of their own (a logout beside its background work, a
# line that is cut during two waits). Its code runs under the race detector in the tests of instances/whatsapp and cmd/portaria.
# These do one thing after the other, as send one request or read one file: nothing in them could race, and they take minutes.
ONE_BY_ONE = ^(TestStories|TestTheSandboxGuideWorksAsPasted|TestSandboxExamplesPass|TestAResetChangesNothingButItsWorld|TestNoStoryOfATestKeyDials|TestEveryRouteMeetsEveryPrincipalOnTheRealGateway|TestEveryRouteAdmitsOnlyWhoItsRowSays|TestSnippetsVerifyRealDeliveries|TestAFirstRunThatWasCutShortShowsAKeyAtTheNextStart|TestRowsAreNotHeldInMemory|TestABulkIsAtMost25MiB|TestCompressedBodiesAreNeverUnpacked|TestOnlyAFileMakesABodyLong|TestTheNamesOfVariablesDoNotMakeABulkHuge|TestWhatIsAskedOfBulksIsFoundByAnIndex|TestPlansOfTurnsAreGoodEverAfter|TestResultsAreFoundByTheirKeysHoweverManyDeliveriesThereAre|TestWeighingAnswersJSON|TestHouseStands)$$
# This one cuts the line during two waits of one client, which whatsmeow itself does not bear (exsync.Event.GetChan).
OF_WHATSMEOW = ^TestDropsDuringSendsLoseAndRepeatNothing$$

.PHONY: race
race: ## the tests under the race detector, but for bare whatsmeow clients and those that do one thing at a time
	$(WITHPG) -- go test -race -timeout 30m -skip '$(subst $$,$$$$,$(ONE_BY_ONE)|$(OF_WHATSMEOW))' $(FLAGS) $(shell go list $(PKG) | grep -v '/wasim$$')

.PHONY: e2e
e2e: ## the stories of the real binary (cmd/portaria), never from the cache
	$(WITHPG) -- go test -count=1 $(FLAGS) ./cmd/portaria/...

.PHONY: fuzz
fuzz: ## each fuzz test for FUZZTIME (30s)
	@go list $(PKG) | while read -r pkg; do \
		go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' | while read -r name; do \
			echo "$$pkg $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$pkg" </dev/null || exit 1; \
		done || exit 1; \
	done

# Two halves: the benchmarks beside the code, six times for benchstat, and the
# HTTP figures of docs/BENCHMARKS.md against a raw server on a durable PostgreSQL.
.PHONY: bench
bench: ## benchmarks through benchstat, then the HTTP ratios
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count=6 $(PKG) > bench.txt || { cat bench.txt; exit 1; }
	$(BENCHSTAT) bench.txt
	$(if $(wildcard internal/bench/*.go),$(WITHPG) -durable -- go run ./internal/bench)

.PHONY: schemas
schemas: ## write docs/schemas from the views of events
	go test ./gateway -count=1 -run '^TestSchemasInDocsAreThoseThatAreServed$$' -args -update

.PHONY: cover
cover: ## coverage, with a floor for each package (.ci/cover)
	$(WITHPG) -- .ci/cover coverage.out

.PHONY: db
db: ## a throw-away PostgreSQL and its TEST_DATABASE_URL, until Ctrl-C
	@$(WITHPG)

.PHONY: fmt
fmt: ## gofumpt and gci
	$(GOLANGCI_LINT) fmt

.PHONY: fmt-check
fmt-check: ## fail when make fmt would change a file
	$(GOLANGCI_LINT) fmt --diff

.PHONY: lint
lint: ## golangci-lint, at the version pinned here
	$(GOLANGCI_LINT) run

.PHONY: check
check: fmt-check lint race e2e ## what has to pass before a change is proposed
