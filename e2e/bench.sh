#!/usr/bin/env bash
# Builds what `make bench` measures and starts the bench. UPDATE=1 also writes docs/benchmarks.md and the baseline.
# Vault's own agent is measured beside ours where e2e/cluster/build.sh vault has built it; nothing is built for that here.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/cluster/settings.sh
arch=$(uname -m)
images=$(mktemp)
trap 'rm -f "$images"' EXIT
.ci/image >"$images" || true   # without an engine the programs are there all the same, and image sizes are left out
cat "$images"

export BENCH_BIN=$E2E_BIN BENCH_AGENT=$PWD/target/image/$arch/sidekey-agent
BENCH_LIBC=$(sed -n 's/^sidekey-agent .*(\(.*\))$/agent linked with \1/p' "$images")
BENCH_IMAGE=$(sed -n 's#^localhost/sidekey-agent:.* \([0-9]*\) bytes$#\1#p' "$images")
export BENCH_LIBC BENCH_IMAGE
cargo run --quiet --locked --profile demo -p sidekey-e2e --bin bench
