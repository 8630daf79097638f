//! The servers, on a thread of their own: the good one, one whose certificate has expired, and the way to them.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use sidekey_fakevault::{Certificate, DatabaseRole, FakeVault, Options, RoleSpec};

use crate::front::{Front, Way};

pub(crate) const MOUNT: &str = "auth/kubernetes";
pub(crate) const MARKER: &str = "marker-7f3a9c";

/// What the agent may read, until a fault takes it away.
pub(crate) const RIGHTS: &[(&str, &[&str])] = &[
    ("secret/data/*", &["read"]),
    ("database/creds/app", &["read"]),
    ("database/creds/job", &["read"]),
    ("pki/issue/web", &["update"]),
];

/// By which the agent knows the server, where the run can say what it resolves to.
pub(crate) const NAME: &str = "vault.chaos.test";

pub(crate) struct Server {
    pub(crate) fake: &'static FakeVault,
    pub(crate) expired: &'static FakeVault,
    /// Its certificate is in force, and that of the CA which signed it is not.
    pub(crate) unsigned: &'static FakeVault,
    pub(crate) front: &'static Front,
}

impl Server {
    /// Serves until the process ends.
    pub(crate) fn start() -> Self {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let fake = FakeVault::start(Options::default()).await.unwrap();
                let with = |certificate| FakeVault::start(Options { certificate, ..Options::default() });
                let expired = with(Certificate::Expired).await.unwrap();
                let unsigned = with(Certificate::ExpiredAuthority).await.unwrap();
                let front = Front::start(fake.socket()).await;
                let kept = |fake| -> &'static FakeVault { Box::leak(Box::new(fake)) };
                let front: &'static Front = Box::leak(Box::new(front));
                send.send((kept(fake), kept(expired), kept(unsigned), front)).unwrap();
                std::future::pending::<()>().await;
            });
        });
        let (fake, expired, unsigned, front) = receive.recv().unwrap();
        fake.enable_kubernetes(MOUNT);
        fake.policy("web", RIGHTS);
        let seconds = Duration::from_secs;
        let role = RoleSpec {
            policies: vec!["web".to_owned()],
            ttl: seconds(240),
            max_ttl: seconds(600),
            ..RoleSpec::default()
        };
        fake.role(MOUNT, "web", role);
        fake.kv2("secret");
        fake.put("secret/web", json!({"password": format!("{MARKER}-web")}));
        let database = |ttl, max_ttl| DatabaseRole { ttl, max_ttl, ..DatabaseRole::default() };
        fake.database("database", "app", database(seconds(60), seconds(180)));
        fake.database("database", "job", database(seconds(90), seconds(90)));
        fake.pki("pki");
        fake.date_certificates_by_wall();
        Self { fake, expired, unsigned, front }
    }

    /// By the relay.
    pub(crate) fn address(&self) -> String {
        format!("https://{}", self.front.address)
    }

    /// The same by name.
    pub(crate) fn named(&self) -> String {
        format!("https://{NAME}:{}", self.front.address.port())
    }

    pub(crate) fn good(&self) -> SocketAddr {
        self.fake.socket()
    }

    /// Ends every connection and leads the next ones to the good server.
    pub(crate) fn cut(&self) {
        self.front.lead(Way::To(self.good()));
    }

    pub(crate) fn ca(&self) -> String {
        [self.fake, self.expired, self.unsigned].map(FakeVault::ca_pem).concat()
    }
}
