//! The CA's life against an API server in memory: replicas agree, rotations leave nobody behind, failures change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use sidekey_runtime::readiness::Readiness;
use sidekey_runtime::watch;
use sidekey_webhook::certs::authority::Authority;
use sidekey_webhook::certs::files::{Pair, follow};
use sidekey_webhook::certs::keeper::{Keeper, Names};
use sidekey_webhook::certs::plan::SETTLE;
use sidekey_webhook::certs::{Served, unix_now};
use support::{CONFIGURATION, Cluster, LEASE, SECRET, SILENT, metrics};
use tokio::time::{advance, timeout};
use x509_parser::prelude::{FromDer, X509Certificate};

struct Replica {
    keeper: Keeper,
    served: Arc<Served>,
    readiness: Readiness,
}

impl Replica {
    fn new(cluster: &Cluster, identity: &str) -> Self {
        let names = Names {
            namespace: "sidekey".to_owned(),
            secret: "sidekey-webhook-ca".to_owned(),
            lease: "sidekey-webhook".to_owned(),
            configuration: "sidekey-webhook".to_owned(),
            dns: vec!["sidekey-webhook.sidekey.svc".to_owned()],
            identity: identity.to_owned(),
        };
        let (served, readiness) = (Arc::new(Served::default()), Readiness::new());
        let token = readiness.token("trusted certificate");
        let keeper = Keeper::new(cluster.api(), names, Arc::clone(&served), token, metrics());
        Self { keeper, served, readiness }
    }

    fn leaf(&self) -> CertificateDer<'static> {
        self.served.get().unwrap().cert[0].clone()
    }

    /// Whether an API server with this bundle would take this replica's leaf.
    fn is_trusted(&self, bundle: &[CertificateDer<'static>]) -> bool {
        bundle.iter().any(|ca| made_by(&self.leaf(), ca))
    }
}

fn made_by(leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>) -> bool {
    let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
    let (_, ca) = X509Certificate::from_der(ca).unwrap();
    leaf.verify_signature(Some(ca.public_key())).is_ok()
}

fn current(cluster: &Cluster) -> CertificateDer<'static> {
    use base64::Engine;
    let secret = cluster.get(SECRET).unwrap();
    let pem = base64::engine::general_purpose::STANDARD.decode(secret["data"]["ca.crt"].as_str().unwrap()).unwrap();
    CertificateDer::from_pem_slice(&pem).unwrap()
}

fn ask_for_rotation(cluster: &Cluster) {
    cluster.change(SECRET, |secret| {
        secret["metadata"]["annotations"] = json!({"sidekey.dev/rotate": "now", "kept": "yes"});
    });
}

const HOOKS: &[&str] = &["inject.sidekey.dev", "second.sidekey.dev"];

#[tokio::test(start_paused = true)]
async fn one_replica_installs_itself_and_then_writes_nothing() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    assert!(replica.keeper.round().await);
    assert!(replica.readiness.is_ready());
    for bundle in cluster.bundles() {
        assert_eq!(bundle, [current(&cluster)], "every entry trusts the CA and nobody else");
        assert!(replica.is_trusted(&bundle));
    }
    assert!(cluster.get(LEASE).unwrap()["spec"]["holderIdentity"].is_null(), "the lock is given back");
    cluster.take_calls();
    for _ in 0..10 {
        assert!(replica.keeper.round().await);
    }
    assert!(cluster.take_calls().iter().all(|call| call.starts_with("GET ")));
}

#[tokio::test]
async fn two_replicas_that_start_together_agree() {
    for _ in 0..10 {
        let cluster = Cluster::with_hooks(HOOKS);
        let (mut a, mut b) = (Replica::new(&cluster, "a"), Replica::new(&cluster, "b"));
        for _ in 0..20 {
            tokio::join!(a.keeper.round(), b.keeper.round());
            if a.readiness.is_ready() && b.readiness.is_ready() {
                break;
            }
        }
        assert!(a.readiness.is_ready() && b.readiness.is_ready());
        for bundle in cluster.bundles() {
            assert_eq!(bundle, [current(&cluster)]);
            assert!(a.is_trusted(&bundle) && b.is_trusted(&bundle));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_never_serves_what_is_not_trusted() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replicas = [Replica::new(&cluster, "a"), Replica::new(&cluster, "b")];
    for replica in &mut replicas {
        while !replica.readiness.is_ready() {
            replica.keeper.round().await;
        }
    }
    let old = current(&cluster);
    ask_for_rotation(&cluster);
    let mut gone_over = 0;
    for _ in 0..8 {
        for replica in &mut replicas {
            replica.keeper.round().await;
            assert!(cluster.bundles().iter().all(|bundle| replica.is_trusted(bundle)));
        }
        gone_over = replicas.iter().filter(|replica| made_by(&replica.leaf(), &current(&cluster))).count();
        advance(SETTLE / 3).await;
    }
    let new = current(&cluster);
    assert_ne!(old, new);
    assert_eq!(gone_over, 2, "both replicas went over to the new CA");
    assert!(cluster.bundles().iter().all(|bundle| *bundle == [new.clone(), old.clone()]), "the old one stays trusted");
    let annotations = &cluster.get(SECRET).unwrap()["metadata"]["annotations"];
    assert_eq!(*annotations, json!({"kept": "yes"}), "the wish is fulfilled and gone, what is not ours stays");
}

#[tokio::test(start_paused = true)]
async fn goes_over_only_after_the_new_ca_has_been_trusted_for_a_while() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    let before = replica.leaf();
    ask_for_rotation(&cluster);
    replica.keeper.round().await;
    advance(SETTLE - Duration::from_secs(1)).await;
    replica.keeper.round().await;
    assert_eq!(replica.leaf(), before);
    advance(Duration::from_secs(2)).await;
    replica.keeper.round().await;
    assert!(made_by(&replica.leaf(), &current(&cluster)));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_secret_is_replaced_by_what_is_remembered() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    let (ca, leaf) = (current(&cluster), replica.leaf());
    let damages: [fn(&mut Value); 3] = [
        |secret| secret["data"] = json!({}),
        |secret| secret["data"]["ca.key"] = json!("bm8ga2V5"),
        |secret| secret["data"]["ca.crt"] = json!(""),
    ];
    for damage in damages {
        cluster.change(SECRET, damage);
        assert!(replica.keeper.round().await);
        assert_eq!((current(&cluster), replica.leaf()), (ca.clone(), leaf.clone()));
        assert!(replica.readiness.is_ready());
    }
    cluster.delete(SECRET);
    assert!(replica.keeper.round().await);
    assert_eq!(current(&cluster), ca);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_remembers_nothing_makes_a_new_ca_beside_the_trusted_one() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut old = Replica::new(&cluster, "a");
    old.keeper.round().await;
    let before = current(&cluster);
    cluster.change(SECRET, |secret| secret["data"] = json!({}));
    let mut new = Replica::new(&cluster, "b");
    new.keeper.round().await;
    assert_ne!(current(&cluster), before);
    for bundle in cluster.bundles() {
        assert!(old.is_trusted(&bundle) && new.is_trusted(&bundle));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_somebody_empties_is_written_again() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    cluster.change(CONFIGURATION, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = json!(""));
    assert!(replica.keeper.round().await);
    assert!(cluster.bundles().iter().all(|bundle| *bundle == [current(&cluster)]));
}

/// A replica that was killed in the middle of a change leaves its name in the Lease for half a minute.
#[tokio::test(start_paused = true)]
async fn bundle_and_secret_are_restored_while_a_dead_replica_holds_the_lock() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    cluster.change(LEASE, |lease| lease["spec"]["holderIdentity"] = json!("gone"));
    cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
    assert!(replica.keeper.round().await);
    assert!(all_trust(&cluster));
    let before = current(&cluster);
    cluster.delete(SECRET);
    cluster.change(CONFIGURATION, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = json!(""));
    assert!(replica.keeper.round().await);
    assert!(all_trust(&cluster) && current(&cluster) == before, "the same CA, in both places");
    ask_for_rotation(&cluster);
    assert!(!replica.keeper.round().await, "the CA itself is the holder's to change");
    assert_eq!(current(&cluster), before);
}

#[tokio::test(start_paused = true)]
async fn a_slow_replica_takes_nothing_back_that_another_has_published() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut slow = Replica::new(&cluster, "slow");
    slow.keeper.round().await;
    let old = current(&cluster);
    // What the quick one makes of the same objects, while the slow one is about to write.
    let later = Cluster::default();
    for path in [SECRET, CONFIGURATION] {
        later.put(path, cluster.get(path).unwrap());
    }
    ask_for_rotation(&later);
    let mut quick = Replica::new(&later, "quick");
    quick.keeper.round().await;
    let [secret, configuration] = [SECRET, CONFIGURATION].map(|path| later.get(path).unwrap());
    cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
    cluster.before_the_next_patch(move |cluster| {
        cluster.put(SECRET, secret);
        cluster.put(CONFIGURATION, configuration);
    });
    cluster.take_calls();
    slow.keeper.round().await;
    let calls = cluster.take_calls();
    let patches = calls.iter().filter(|call| call.starts_with("PATCH ")).count();
    assert_eq!(patches, 1, "it came too late, and nothing was left to do: {calls:#?}");
    assert_ne!(current(&cluster), old);
    assert!(cluster.bundles().iter().all(|bundle| *bundle == [current(&cluster), old.clone()]));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_fails_unreadies_nobody_and_is_not_asked_in_a_hurry() {
    let cluster = Cluster::with_hooks(HOOKS);
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    let leaf = replica.leaf();
    cluster.fail(503);
    cluster.take_calls();
    for _ in 0..10 {
        replica.keeper.round().await;
    }
    assert_eq!(cluster.take_calls().len(), 20, "two calls a round");
    assert!(replica.readiness.is_ready());
    assert_eq!(replica.leaf(), leaf);
}

#[tokio::test(start_paused = true)]
async fn is_not_ready_before_its_certificate_is_trusted() {
    let cluster = Cluster::default();
    let mut replica = Replica::new(&cluster, "a");
    replica.keeper.round().await;
    assert!(replica.served.get().is_some());
    assert_eq!(replica.readiness.report().1, "not ready\nawaits: trusted certificate\n");
    cluster.put(CONFIGURATION, Cluster::with_hooks(HOOKS).get(CONFIGURATION).unwrap());
    replica.keeper.round().await;
    assert!(replica.readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_lock_and_takes_it_from_a_holder_that_is_gone() {
    let cluster = Cluster::with_hooks(HOOKS);
    cluster.put(LEASE, json!({"metadata": {"name": "sidekey-webhook"}, "spec": {"holderIdentity": "gone"}}));
    let mut replica = Replica::new(&cluster, "a");
    assert!(!replica.keeper.round().await);
    advance(Duration::from_secs(29)).await;
    assert!(!replica.keeper.round().await);
    assert!(cluster.get(SECRET).is_none());
    advance(Duration::from_secs(2)).await;
    assert!(replica.keeper.round().await);
    assert!(replica.readiness.is_ready());
}

/// Real time: what a person sees.
async fn within(limit: Duration, what: &str, mut is: impl FnMut() -> bool) {
    let become_so = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(limit, become_so).await.is_ok(), "{what} within {limit:?}");
}

fn all_trust(cluster: &Cluster) -> bool {
    cluster.get(CONFIGURATION).is_some() && cluster.bundles().iter().all(|bundle| *bundle == [current(cluster)])
}

#[tokio::test]
async fn what_others_delete_change_and_make_anew_is_right_again_at_once() {
    let cluster = Cluster::with_hooks(HOOKS);
    let Replica { keeper, readiness, .. } = Replica::new(&cluster, "a");
    tokio::spawn(keeper.run());
    within(Duration::from_secs(10), "ready", || readiness.is_ready()).await;
    let ca = current(&cluster);
    for _ in 0..3 {
        let anew = Cluster::with_hooks(HOOKS).get(CONFIGURATION).unwrap();
        cluster.delete(CONFIGURATION);
        cluster.put(CONFIGURATION, anew);
        within(Duration::from_millis(500), "caBundle of a configuration made anew", || all_trust(&cluster)).await;
        cluster.change(CONFIGURATION, |object| object["webhooks"][1]["clientConfig"]["caBundle"] = json!("bm8="));
        within(Duration::from_millis(500), "caBundle that was damaged", || all_trust(&cluster)).await;
        cluster.delete(SECRET);
        within(Duration::from_millis(500), "the Secret", || cluster.get(SECRET).is_some()).await;
        assert_eq!(current(&cluster), ca, "it is the same CA");
    }
    cluster.end_watches();
    cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
    within(Duration::from_secs(1), "caBundle changed while nothing was watched", || all_trust(&cluster)).await;
}

/// Half a minute after a replica has begun to keep it; the calls till then are forgotten.
async fn at_rest() -> Cluster {
    let cluster = Cluster::with_hooks(HOOKS);
    tokio::spawn(Replica::new(&cluster, "a").keeper.run());
    tokio::time::sleep(Duration::from_secs(30)).await;
    cluster.take_calls();
    cluster
}

#[tokio::test(start_paused = true)]
async fn whoever_writes_against_it_all_day_makes_no_loop() {
    let cluster = at_rest().await;
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while tokio::time::Instant::now() < end {
        cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let written = cluster.take_calls().iter().filter(|call| call.starts_with("PATCH ")).count();
    assert!((60..=160).contains(&written), "{written} writes in a minute");
}

/// It refuses while its caches fill, and its watches longer than the rest.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_not_itself_yet_leaves_no_change_unseen_for_long() {
    for status in [403, 429, 503] {
        let cluster = at_rest().await;
        cluster.fail(SILENT);
        cluster.end_watches();
        tokio::time::sleep(Duration::from_secs(30)).await;
        cluster.fail(status);
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster.fail(0);
        cluster.refuse_watches(status);
        tokio::time::sleep(Duration::from_secs(12)).await;
        cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        assert!(all_trust(&cluster), "{status}: looked at each second while it is not watched");
        cluster.refuse_watches(0);
        tokio::time::sleep(Duration::from_secs(if status == 403 { 13 } else { 2 })).await;
        cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(all_trust(&cluster), "{status}: watched again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_soon_made_again_and_ever_later_while_it_goes_on_failing() {
    let cluster = at_rest().await;
    cluster.fail(503);
    cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!cluster.take_calls().is_empty() && !all_trust(&cluster), "the look that the change asked for has failed");
    cluster.fail(0);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert!(all_trust(&cluster), "not in ten seconds");
    cluster.fail(503);
    cluster.take_calls();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = cluster.take_calls().len();
    assert!((80..=180).contains(&calls), "{calls} calls in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_is_begun_ever_later() {
    let cluster = at_rest().await;
    cluster.fail(403);
    cluster.end_watches();
    cluster.take_calls();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = cluster.take_calls();
    let watches = calls.iter().filter(|call| call.starts_with("WATCH ")).count();
    assert!((30..=80).contains(&watches), "{watches} watches begun in ten minutes");
    assert!(calls.len() < 200, "{} calls in ten minutes", calls.len());
}

/// As on a slow machine whose API server is started again twice.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_away_for_long_is_watched_again_soon() {
    let cluster = at_rest().await;
    for away in [100, 20] {
        cluster.fail(SILENT);
        cluster.end_watches();
        tokio::time::sleep(Duration::from_secs(away)).await;
        cluster.fail(0);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    let calls = cluster.take_calls().len();
    assert!((60..=260).contains(&calls), "{calls} calls in two minutes without an answer");
    cluster.change(CONFIGURATION, |object| object["webhooks"][0]["clientConfig"]["caBundle"] = json!(""));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(all_trust(&cluster), "a change right after it is seen by a watch");
}

fn write_pair(directory: &Path, name: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    fs::write(directory.join("tls.crt"), certificate.pem()).unwrap();
    certificate.der().to_vec()
}

#[tokio::test]
async fn mounted_files_are_followed_and_a_bad_pair_keeps_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let served = Arc::new(Served::default());
    let readiness = Readiness::new();
    let token = readiness.token("certificate");
    let changes = watch::every(directory.path(), Duration::from_millis(50));
    tokio::spawn(follow(Pair::mounted(directory.path()), changes, Arc::clone(&served), token, metrics()));
    let shown = async || served.get().map(|pair| pair.cert[0].to_vec());
    let becomes = async |wanted: &[u8]| {
        let same = async {
            while shown().await.as_deref() != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), same).await.unwrap();
    };
    assert!(!readiness.is_ready());
    let first = write_pair(directory.path(), "first.test");
    becomes(&first).await;
    assert!(readiness.is_ready());
    let other = Authority::generate(unix_now()).unwrap();
    fs::write(directory.path().join("tls.key"), other.key_pem().expose()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shown().await.unwrap(), first);
    let second = write_pair(directory.path(), "second.test");
    becomes(&second).await;
}
