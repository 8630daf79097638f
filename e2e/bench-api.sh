# Sourced by bench.sh: a real API server with its etcd, alone and on loopback, for as long as the bench runs. No controllers: what
# is measured is the operator. Sets BENCH_API (kubectl proxy) and BENCH_KUBECONFIG; says why where that cannot be.

api_up() {
  local program
  for program in etcd kube-apiserver kubectl openssl; do
    command -v $program >/dev/null || { echo "bench: $program is missing (e2e/cluster/packages.sh, e2e/cluster/build.sh kube)"; return 1; }
  done
  E2E_DIR=$(mktemp -d)   # settings.sh's start, stop and until_ok keep logs and process numbers below it
  mkdir "$E2E_DIR"/{pki,log,pid}
  local etcd=23790 peers=23800 port=26443 proxy=26480 pki=$E2E_DIR/pki
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key"
  openssl ec -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
  openssl req -x509 -key "$pki/ca.key" -out "$pki/ca.crt" -days 2 -subj /CN=bench-ca
  api_certificate server /CN=apiserver IP:127.0.0.1
  api_certificate admin /O=system:masters/CN=admin DNS:admin
  start etcd etcd --data-dir "$E2E_DIR/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:$etcd \
    --advertise-client-urls http://127.0.0.1:$etcd --listen-peer-urls http://127.0.0.1:$peers \
    --initial-advertise-peer-urls http://127.0.0.1:$peers --initial-cluster default=http://127.0.0.1:$peers
  until_ok 30 etcd curl -sf http://127.0.0.1:$etcd/health || return 1
  start apiserver kube-apiserver --etcd-servers=http://127.0.0.1:$etcd --bind-address=127.0.0.1 --secure-port=$port \
    --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/16 \
    --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount --client-ca-file="$pki/ca.crt" \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file="$pki/sa.key" \
    --service-account-key-file="$pki/sa.pub"
  export BENCH_KUBECONFIG=$E2E_DIR/kubeconfig BENCH_API=127.0.0.1:$proxy
  cat >"$BENCH_KUBECONFIG" <<Y
apiVersion: v1
kind: Config
current-context: bench
contexts: [{name: bench, context: {cluster: bench, user: admin}}]
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $pki/ca.crt}}]
users: [{name: admin, user: {client-certificate: $pki/admin.crt, client-key: $pki/admin.key}}]
Y
  until_ok 60 "the API server" kubectl --kubeconfig "$BENCH_KUBECONFIG" get --raw /readyz || return 1
  start proxy kubectl --kubeconfig "$BENCH_KUBECONFIG" proxy --port=$proxy
  until_ok 20 "kubectl proxy" curl -sf "http://$BENCH_API/version"
}

api_certificate() { # NAME SUBJECT ALTERNATIVE-NAMES
  openssl ecparam -name prime256v1 -genkey -noout -out "$E2E_DIR/pki/$1.key"
  openssl req -new -key "$E2E_DIR/pki/$1.key" -subj "$2" |
    openssl x509 -req -CA "$E2E_DIR/pki/ca.crt" -CAkey "$E2E_DIR/pki/ca.key" -CAcreateserial -days 2 -out "$E2E_DIR/pki/$1.crt" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth' "$3") 2>/dev/null
}

api_down() {
  [ -n "${BENCH_KUBECONFIG:-}" ] || return 0
  stop proxy apiserver etcd
  rm -rf "$E2E_DIR"
}
