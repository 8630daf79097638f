#!/usr/bin/env bash
# restart.sh NAME: ends one of the programs that up.sh started (apiserver, controllers, …) and starts it again as it was.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
restart "$1"
export KUBECONFIG=$ADMIN
until_ok 60 "the API server" kubectl get --raw /readyz
