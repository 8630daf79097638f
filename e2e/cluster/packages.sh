#!/usr/bin/env bash
# Installs the Debian packages that the cluster needs and this machine lacks, and says which. prometheus is what the alerts and
# dashboards are tried on, jq what writes the lists of parts beside the images.
set -euo pipefail
wanted="make etcd-server containerd runc containernetworking-plugins iptables conntrack iproute2 openssl curl procps buildah \
  postgresql gcc libc6-dev musl-tools busybox-static prometheus jq"
missing=()
for package in $wanted; do
  [ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
command -v apt-get >/dev/null || { echo "e2e: this machine lacks, and has no apt-get to install: ${missing[*]}" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "e2e: root is needed to install: ${missing[*]}" >&2; exit 1; }
echo "e2e: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The packages' own services are not wanted: the harness starts its own, with their state in its own folder.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
