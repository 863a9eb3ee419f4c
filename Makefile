# Developer commands. `make demo` and `make test` install missing tools (Debian packages if root).

LAB := target/debug/lab
DEPLOY := target/debug/apim-deploy
DISTRIBUTIONS := target/distributions

.DEFAULT_GOAL := help
.PHONY: help demo test vagrant-test build agent distributions lab lab-down fmt lint compiler tools

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

demo: build distributions ## Deploy the highly available cluster on this machine, twice
	tests/demo.sh

test: tools build distributions ## Run all tests
	tests/run.sh

# Both builds run in parallel: the agent has its own target folder, and its last step uses one
# processor.
build: compiler ## Build the programs
	@agent/build-static.sh & agent=$$!; \
	cargo build --workspace --bins; built=$$?; \
	wait $$agent && exit $$built

agent: compiler ## Build the static agent that is uploaded to hosts
	agent/build-static.sh

distributions: build ## Build the stand-in distributions
	target/debug/standin build --out $(DISTRIBUTIONS)

vagrant-test: build distributions ## Test a cluster with Vagrant on docker, from creation to destroy
	tests/vagrant.sh

lab: build ## Start the machine lab alone, as root: 9 hosts
	$(LAB) up --topology ha

lab-down: ## Stop the lab and remove its files
	$(LAB) down

fmt: ## Format the sources
	cargo fmt --all

lint: ## Check format, lints and docs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

# Some crates contain C code, and the static agent needs the static C library.
compiler:
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	  then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev; \
	  else echo "C compiler not found: install gcc and libc6-dev" >&2; exit 1; fi; }

tools:
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
