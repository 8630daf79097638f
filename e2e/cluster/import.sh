#!/usr/bin/env bash
# import.sh IMAGE…: hands images from buildah's store to the node.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
for image in "$@"; do
  archive=$(mktemp -u "$E2E_DIR/image-XXXXXX.tar")
  buildah push -q "$image" "docker-archive:$archive:$image"
  ctr_k8s images import "$archive" >/dev/null
  rm -f "$archive"
done
