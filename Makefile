# Herald. `make` alone lists what there is.

SHELL := /bin/bash
# Firebase's SDK brings a cloud storage client, and that a gRPC with all of Envoy's
# configuration, for a way to Google that Herald does not take: 14 MiB less.
TAGS := disable_grpc_modules
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT := go tool -modfile=scripts/tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build run test example-recruitment example-cars crash witness lint fmt cover bench bench-selector migrate up down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/herald
	CGO_ENABLED=0 go build -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/herald ./cmd/herald

run: build ## build and start everything on this machine (ARGS="--listen :9000")
	@scripts/chdb.sh >/dev/null || echo "warning: no embedded ClickHouse; events wait in the spool until there is one" >&2
	@exec bin/herald dev $(ARGS)

test: ## run every test, with the race detector, against real servers
	@scripts/test.sh

example-recruitment: build ## play examples/recruitment: two versions, a business that changes, one that hangs, an event that rings
	@go build -o bin/ ./examples/recruitment/... && exec bin/recruitment

example-cars: build ## play examples/cars: two versions, one answer from two servers, a dealer that is rebuilt
	@go build -o bin/ ./examples/cars/... && exec bin/cars

crash: ## kill workers and Redis at random moments and count everything (ROUNDS=5), a campaign of 200,000 too
	HERALD_CRASH_ROUNDS=$(or $(ROUNDS),5) HERALD_CAMPAIGN_DEVICES=200000 \
		go test -count=1 -timeout 60m -v -run 'ExactlyThrough(Crashes|PauseAndDeath)' ./cmd/herald

witness: ## people talk while nodes and Redis are killed and devices go deaf, counted by name (ROUNDS=5)
	HERALD_WITNESS_ROUNDS=$(or $(ROUNDS),5) go test -count=1 -timeout 30m -v -run TheWitnessMissesNothing ./cmd/herald

lint: ## look for faults with golangci-lint
	$(LINT) run ./...

fmt: ## format the code
	$(LINT) fmt ./...

cover: ## show how much of the code the tests reach
	@mkdir -p build
	go test -coverprofile=build/cover.out ./...
	go tool cover -func=build/cover.out | tail -1

bench: build ## measure throughput and latency, write build/bench.json
	go run ./examples/bench -herald bin/herald -out build/bench.json

bench-selector: build ## set the selector against other policies in a simulated world (ARGS="--scale 1")
	bin/herald selector bench --out build/bench-selector.json $(ARGS)

bench-analytics: build ## invent events in the running herald dev, time the dashboards' queries (EVENTS=10000000), write build/bench-analytics.json
	@mkdir -p build
	bin/herald analytics seed --events $(or $(EVENTS),10000000) $(ARGS)
	bin/herald analytics bench --merge --out build/bench-analytics.json $(ARGS)

bench-live: ## measure the live connection beside Mosquitto, write build/bench-live.json
	go build -o build/bench-live ./examples/bench-live
	build/bench-live -out build/bench-live.json

bench-places: ## measure position reports, who is near and fences, write build/bench-places.json
	HERALD_PLACES_FIGURES=$(CURDIR)/build/bench-places.json go test -count=1 -v -timeout 10m -run TestFigures ./places

bench-gateway: build ## measure calls through the gateway beside nginx as a plain reverse proxy, write build/bench-gateway.json
	go build -o build/bench-gateway ./examples/bench-gateway
	build/bench-gateway -herald bin/herald -out build/bench-gateway.json $(ARGS)

migrate: build ## bring the databases of herald.yaml up to date
	bin/herald migrate

up: ## start the compose file of deploy/
	docker compose -f deploy/compose.yaml up --build -d

down: ## stop it
	docker compose -f deploy/compose.yaml down

clean: ## remove what was built, and nothing else
	rm -rf bin build
