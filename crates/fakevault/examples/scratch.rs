#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]
use std::time::Duration;
use sidekey_fakevault::{FakeVault, Options, RoleSpec};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let f = FakeVault::start(Options { tls: false, ..Options::default() }).await.unwrap();
    let s = Duration::from_secs;
    let base = RoleSpec { service_accounts: vec!["web".into()], namespaces: vec!["default".into()], policies: vec!["p".into()], ttl: s(60), max_ttl: s(120), ..RoleSpec::default() };
    let m = "auth/kubernetes";
    f.role(m, "web", RoleSpec { audience: Some("vault".into()), ..base.clone() });
    f.role(m, "noaud", RoleSpec { no_default_policy: true, ..base.clone() });
    f.role(m, "star", RoleSpec { service_accounts: vec!["\"*\"".into()], ..base.clone() });
    f.role(m, "batch", RoleSpec { batch: true, max_ttl: s(0), ..base.clone() });
    f.role(m, "uses", RoleSpec { num_uses: 2, max_ttl: s(0), ..base.clone() });
    f.role(m, "period", RoleSpec { period: s(120), explicit_max_ttl: s(180), max_ttl: s(0), ttl: s(0), ..base.clone() });
    f.policy("p", &[("secret/data/web", &["read"]), ("kv1/*", &["read", "list"]), ("secret/data/+/deep", &["read", "update"])]);
    f.kv2("secret"); f.kv1("kv1");
    println!("{} {} {}", f.address(), f.root_token(), f.jwt("default", "web", "vault"));
    tokio::time::sleep(s(600)).await;
}
