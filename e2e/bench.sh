#!/usr/bin/env bash
# Builds what `make bench` measures and starts the bench. UPDATE=1 also writes docs/benchmarks.md and the baseline.
# ONLY=operator measures the operator alone; OBJECTS and WINDOW (seconds) make that smaller, and the table says so.
# Vault's own agent is measured beside ours where e2e/cluster/build.sh vault has built it; nothing is built for that here.
# The operator needs an API server (e2e/cluster/build.sh kube, e2e/cluster/packages.sh); without one it is not measured.
set -euo pipefail
cd "$(dirname "$0")/.."
. e2e/cluster/settings.sh
. e2e/bench-api.sh
arch=$(uname -m)
images=$(mktemp)
trap 'rm -f "$images"; api_down' EXIT
profile=${BENCH_PROFILE:-release}
if [ "${ONLY:-}" != operator ]; then
  .ci/image >"$images" || true   # without an engine the programs are there all the same, and image sizes are left out
  cat "$images"
elif [ "$profile" != none ]; then
  .ci/static "$profile" sidekey-cli sidekey
fi
api_up || unset BENCH_API BENCH_KUBECONFIG

export BENCH_BIN=$E2E_BIN BENCH_AGENT=$PWD/target/image/$arch/sidekey-agent
export BENCH_SIDEKEY=${BENCH_SIDEKEY:-$PWD/target/image/$arch/sidekey}
BENCH_LIBC=$(sed -n 's/^sidekey-agent .*(\(.*\))$/agent linked with \1/p' "$images")
BENCH_IMAGE=$(sed -n 's#^localhost/sidekey-agent:.* \([0-9]*\) bytes$#\1#p' "$images")
export BENCH_LIBC BENCH_IMAGE
cargo run --quiet --locked --profile "${BENCH_CARGO_PROFILE:-demo}" -p sidekey-e2e --bin bench
