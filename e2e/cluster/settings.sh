# Sourced by every script beside it: where things lie, which addresses are ours, and a few helpers.
# All state of one cluster lies below $E2E_DIR, so that removing it leaves no trace; built programs lie below $E2E_BIN and stay.

CLUSTER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
E2E_DIR=${E2E_DIR:-${TMPDIR:-/tmp}/sidekey-e2e}
E2E_BIN=${E2E_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/sidekey-e2e/bin}

NODE=node-1
NODE_IP=${NODE_IP:-10.200.0.1}          # put on lo for the cluster's life; host and pods both reach it
PLAIN_IP=${PLAIN_IP:-10.200.0.2}        # put there too: Vault without TLS on the port that manuals have it on
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
KUBERNETES_IP=10.96.0.1                 # the first of SERVICE_CIDR: the API server's own Service
BRIDGE=e2e0
PAUSE=localhost/pause:$(sha256sum "$CLUSTER/pause.c" | cut -c1-12)

VAULT_PORT=8200                         # the Vault that is always up
SPARE_PORT=8300                         # a second one with another CA, for tests that seal it or distrust it
POSTGRES_PORT=5433

ADMIN=$E2E_DIR/admin.kubeconfig
PATH=$E2E_BIN:$PATH:/usr/sbin:/sbin

# start NAME COMMAND…: in the background, in a session of its own; log/NAME.log and pid/NAME tell the rest.
start() {
  local name=$1
  shift
  setsid nohup "$@" >"$E2E_DIR/log/$name.log" 2>&1 </dev/null &
  echo $! >"$E2E_DIR/pid/$name"
}

# stop NAME…: asks what `start` started to end, waits at most five seconds for all of it, then insists.
stop() {
  local name pids=()
  for name; do
    [ -f "$E2E_DIR/pid/$name" ] && pids+=("$(cat "$E2E_DIR/pid/$name")") && rm -f "$E2E_DIR/pid/$name"
  done
  [ ${#pids[@]} -eq 0 ] && return 0
  kill "${pids[@]}" 2>/dev/null
  for _ in $(seq 50); do
    kill -0 "${pids[@]}" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "${pids[@]}" 2>/dev/null || true
}

# restart NAME: ends what `start` started and starts the same command again.
restart() {
  local command
  mapfile -d '' -t command <"/proc/$(cat "$E2E_DIR/pid/$1")/cmdline"
  stop "$1"
  start "$1" "${command[@]}"
}

# until_ok SECONDS WHAT COMMAND…: repeats the command till it succeeds.
until_ok() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      echo "e2e: gave up waiting for $what; logs are in $E2E_DIR/log" >&2
      return 1
    fi
    sleep 0.2
  done
}

ctr_k8s() { ctr --address "$E2E_DIR/containerd.sock" --namespace k8s.io "$@"; }
postgres_bin() { find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1; }
