# Every target runs from a fresh clone; what each needs beyond a Rust toolchain stands beside it.
.DEFAULT_GOAL := help
.PHONY: help demo test chaos fuzz lint e2e bench image fmt clean
MAKEFLAGS += --no-print-directory

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the main job on an embedded server: a pod through the webhook, then the agent; DEMO_ARGS=--json for machines
	@cargo build --quiet --locked --profile demo -p sidekey-agent -p sidekey-demo
	@"$${CARGO_TARGET_DIR:-target}/demo/sidekey-demo" $(DEMO_ARGS)

test: ## everything that needs no cluster
	@.ci/test

chaos: ## 1 000 faults and a kill before each call that writes, over the real agent; SEED=n repeats a run, FAULTS=n sets its length
	@SEED="$${SEED:-$$(date +%s)}" FAULTS="$${FAULTS:-1000}" cargo test --quiet --locked -p sidekey-agent --test chaos

lint: ## formatting, clippy, who may depend on whom, licences
	@.ci/lint

fuzz: ## libFuzzer over everything that parses, a minute a target; RUNS=, SECONDS_EACH=, KEEP=1 (docs/testing.md); needs c++
	@.ci/fuzz

e2e: ## the tests on a real cluster with real Vault and PostgreSQL; needs root and Go, or KUBECONFIG (e2e/README.md)
	@e2e/run

bench: ## the figures of docs/benchmarks.md on this machine, beside what they are compared to; UPDATE=1 rewrites it, ONLY=operator is that alone
	@e2e/bench.sh

image: ## the programs and their scratch images, with sizes; needs buildah, docker or podman
	@.ci/image

fmt: ## formats the code
	@cargo fmt --all

clean: ## removes what was built; the cluster's programs in the cache stay
	@cargo clean
