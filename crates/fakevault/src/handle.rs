//! The test's side of the server.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::auth::{AuthKind, AuthMount};
use crate::database::{Database, StaticUser};
use crate::fault::{Fault, Matcher, Times};
use crate::jwt;
use crate::kv::{Kv1, Kv2};
use crate::mount::Mount;
use crate::record::{Recorded, same_method};
use crate::server::{self, Shared, StartError};
use crate::spec::{DatabaseRole, Options, RoleSpec, Standing, StaticRole};
use crate::token::Bearer;

/// A running server; it ends, with all its connections, when this is dropped.
///
/// Every method may be called from any thread while it serves. Paths are logical (`auth/kubernetes`, `secret/web`): without
/// `/v1/`, slashes at either end do not matter.
pub struct FakeVault {
    shared: Shared,
    address: SocketAddr,
    scheme: &'static str,
    ca_pem: String,
    root: String,
    task: JoinHandle<()>,
}

/// A live token, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Empty for batch tokens.
    pub accessor: String,
    /// Such as `kubernetes-default-web`.
    pub display_name: String,
    /// Sorted.
    pub policies: Vec<String>,
    /// What is left.
    pub ttl: Duration,
    /// Requests left; `None` is any number.
    pub uses: Option<u64>,
    /// Whether it is a batch token.
    pub batch: bool,
}

/// A live lease, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Such as `database/creds/app/1f2e…`.
    pub id: String,
    /// What is left.
    pub ttl: Duration,
    /// The user it keeps alive.
    pub username: Option<String>,
    /// Accessor of the token it dies with.
    pub accessor: String,
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeVault {
    /// Listens on a free port of 127.0.0.1; needs a tokio runtime with time and network.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let running = server::start(&options).await?;
        let root = running.shared.lock().tokens.keys().next().cloned().unwrap_or_default();
        let scheme = if options.tls { "https" } else { "http" };
        Ok(Self {
            shared: running.shared,
            address: running.address,
            scheme,
            ca_pem: running.ca_pem,
            root,
            task: running.task,
        })
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, crate::state::State> {
        self.shared.lock()
    }

    /// `https://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The port and address alone.
    pub const fn socket(&self) -> SocketAddr {
        self.address
    }

    /// The CA of its certificate, PEM; also there without TLS, where it signs PKI certificates only.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A token that may do everything and never ends.
    pub fn root_token(&self) -> &str {
        &self.root
    }

    /// A configured Kubernetes login mount whose token review works; an existing one is kept, with its roles.
    pub fn enable_kubernetes(&self, mount: &str) {
        self.enable(mount, AuthKind::Kubernetes);
    }

    /// A configured JWT login mount.
    pub fn enable_jwt(&self, mount: &str) {
        self.enable(mount, AuthKind::Jwt);
    }

    pub(crate) fn enable(&self, mount: &str, kind: AuthKind) {
        self.shared.lock().auths.entry(trim(mount)).or_insert_with(|| AuthMount::new(kind));
    }

    /// Removes a login mount; its tokens live on, as they do in Vault until its revocation queue is through.
    pub fn disable_auth(&self, mount: &str) {
        self.shared.lock().auths.remove(&trim(mount));
    }

    /// Whether a login mount's configuration was ever written.
    pub fn configured(&self, mount: &str, configured: bool) {
        if let Some(mount) = self.shared.lock().auths.get_mut(&trim(mount)) {
            mount.configured = configured;
        }
    }

    /// Whether a login mount's token review works; when not, every login ends in a bare 403.
    pub fn reviewer(&self, mount: &str, works: bool) {
        if let Some(mount) = self.shared.lock().auths.get_mut(&trim(mount)) {
            mount.reviewer = works;
        }
    }

    /// Writes a role; a mount that is not there becomes a Kubernetes one.
    pub fn role(&self, mount: &str, name: &str, spec: RoleSpec) {
        let mut state = self.shared.lock();
        let mount = state.auths.entry(trim(mount)).or_insert_with(|| AuthMount::new(AuthKind::Kubernetes));
        mount.roles.insert(name.to_owned(), spec);
    }

    /// Deletes a role; tokens made by it can no longer be renewed.
    pub fn remove_role(&self, mount: &str, name: &str) {
        if let Some(mount) = self.shared.lock().auths.get_mut(&trim(mount)) {
            mount.roles.remove(name);
        }
    }

    /// A service account token that the review takes for an hour of the server's clock.
    pub fn jwt(&self, namespace: &str, service_account: &str, audience: &str) -> String {
        let state = self.shared.lock();
        jwt::make(&state.jwt_key, namespace, service_account, audience, state.clock.unix(state.clock.now()))
    }

    /// A token of the same claims that another cluster signed: the review refuses it.
    pub fn foreign_jwt(&self, namespace: &str, service_account: &str, audience: &str) -> String {
        let state = self.shared.lock();
        jwt::make("another cluster's key", namespace, service_account, audience, state.clock.unix(state.clock.now()))
    }

    /// Deletes a service account in the cluster: the review refuses its tokens.
    pub fn delete_service_account(&self, namespace: &str, name: &str) {
        self.shared.lock().deleted_accounts.insert((namespace.to_owned(), name.to_owned()));
    }

    /// Writes a policy: paths (`*` at the end, `+` for one segment) and capabilities.
    pub fn policy(&self, name: &str, rules: &[(&str, &[&str])]) {
        self.shared.lock().policies.set(name, rules);
    }

    /// Mounts KV version 1; what is mounted there is replaced.
    pub fn kv1(&self, mount: &str) {
        self.mount(mount, Mount::Kv1(Kv1::new()));
    }

    /// Mounts KV version 2; what is mounted there is replaced.
    pub fn kv2(&self, mount: &str) {
        self.mount(mount, Mount::Kv2(Kv2::new()));
    }

    /// Mounts a PKI engine: `<mount>/issue/<any role>` issues from the server's CA.
    pub fn pki(&self, mount: &str) {
        self.mount(mount, Mount::Pki);
    }

    fn mount(&self, path: &str, mount: Mount) {
        self.shared.lock().mounts.insert(trim(path), mount);
    }

    /// Writes a KV secret (a new version in version 2), with or without `data/`; a mount that is not there becomes version 2.
    pub fn put(&self, path: &str, data: Value) {
        self.shared.lock().put(path, data);
    }

    /// Soft-deletes the newest version of a KV secret; in version 1 the secret is gone.
    pub fn delete(&self, path: &str) {
        self.shared.lock().remove(path, false);
    }

    /// Destroys the newest version of a KV secret.
    pub fn destroy(&self, path: &str) {
        self.shared.lock().remove(path, true);
    }

    /// Writes a database role; the engine is mounted if it is not there.
    pub fn database(&self, mount: &str, role: &str, spec: DatabaseRole) {
        self.with_database(mount, |database| {
            database.roles.insert(role.to_owned(), spec);
        });
    }

    /// Writes a static database role; its password is set now.
    pub fn static_database(&self, mount: &str, role: &str, spec: StaticRole) {
        let (password, rotated) = {
            let mut state = self.shared.lock();
            (state.ids.password(), state.clock.now())
        };
        self.with_database(mount, |database| {
            database.statics.insert(role.to_owned(), StaticUser { role: spec, password, rotated, schedule: None });
        });
    }

    /// Answers of a static role name this schedule from now on, and no period. Its password changes as before.
    pub fn schedule(&self, mount: &str, role: &str, schedule: &str) {
        self.with_database(mount, |database| {
            if let Some(user) = database.statics.get_mut(role) {
                user.schedule = Some(schedule.to_owned());
            }
        });
    }

    fn with_database(&self, mount: &str, change: impl FnOnce(&mut Database)) {
        let mut state = self.shared.lock();
        let mount = state.mounts.entry(trim(mount)).or_insert_with(|| Mount::Database(Database::default()));
        if !matches!(mount, Mount::Database(_)) {
            *mount = Mount::Database(Database::default());
        }
        if let Mount::Database(database) = mount {
            change(database);
        }
    }

    /// Whether the database would let this user in now: its lease lives, or it is the current password of a static role.
    pub fn honours(&self, username: &str, password: &str) -> bool {
        let mut state = self.shared.lock();
        state.sweep();
        state.honours(username, password)
    }

    /// Adds a fault; the oldest one that matches a request happens.
    pub fn fault(&self, matcher: Matcher, fault: Fault, times: Times) {
        self.shared.lock().faults.add(matcher, fault, times);
    }

    /// How many faults wait for a request.
    pub fn faults_left(&self) -> usize {
        self.shared.lock().faults.len()
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Seals, or unseals into an active server.
    pub fn seal(&self, sealed: bool) {
        self.standing(if sealed { Standing::Sealed } else { Standing::Active });
    }

    /// Sets its part in the cluster.
    pub fn standing(&self, standing: Standing) {
        self.shared.lock().standing = standing;
    }

    /// Where it sends clients while it is a standby.
    pub fn active_address(&self, address: &str) {
        self.shared.lock().active_address = Some(address.to_owned());
    }

    /// From now on only this namespace exists.
    pub fn only_namespace(&self, namespace: &str) {
        self.shared.lock().namespace = Some(trim(namespace));
    }

    /// Moves its clock on; what ends in between has ended.
    pub fn advance(&self, time: Duration) {
        let mut state = self.shared.lock();
        state.clock.skip(time);
        state.sweep();
    }

    /// Time on its clock since its start.
    pub fn now(&self) -> Duration {
        self.shared.lock().clock.now()
    }

    /// A token as a login with such a role would give it, without the login.
    pub fn token(&self, spec: &RoleSpec) -> String {
        let bearer = Bearer { path: "auth/token/create".into(), display_name: "token".into(), ..Bearer::default() };
        self.shared.lock().issue_token(spec, bearer).0
    }

    /// Ends a token and its leases, as an operator would.
    pub fn revoke_token(&self, token: &str) {
        self.shared.lock().end_token(token);
    }

    /// Dates certificates by the wall clock, for clients whose clock of days is the machine's, whatever is skipped.
    pub fn date_certificates_by_wall(&self) {
        self.shared.lock().pki_by_wall = true;
    }

    /// Ends every token but root's.
    pub fn revoke_all_tokens(&self) {
        let mut state = self.shared.lock();
        let tokens: Vec<_> = state.tokens.keys().filter(|id| **id != self.root).cloned().collect();
        for token in tokens {
            state.end_token(&token);
        }
    }

    /// Ends a lease by its id.
    pub fn revoke_lease(&self, id: &str) {
        self.shared.lock().leases.remove(id);
    }

    /// The live tokens but root's, oldest first.
    pub fn tokens(&self) -> Vec<TokenInfo> {
        let mut state = self.shared.lock();
        state.sweep();
        let now = state.clock.now();
        let mut tokens: Vec<_> = state.tokens.values().filter(|token| token.id != self.root).collect();
        tokens.sort_by_key(|token| token.issued);
        let info = |token: &crate::token::Token| TokenInfo {
            accessor: token.accessor.clone(),
            display_name: token.display_name.clone(),
            policies: token.policies.iter().cloned().collect(),
            ttl: token.expires.unwrap_or_default().saturating_sub(now),
            uses: token.uses,
            batch: token.batch,
        };
        tokens.into_iter().map(info).collect()
    }

    /// The live leases, oldest first.
    pub fn leases(&self) -> Vec<LeaseInfo> {
        let mut state = self.shared.lock();
        state.sweep();
        let now = state.clock.now();
        let mut leases: Vec<_> = state.leases.values().collect();
        leases.sort_by_key(|lease| lease.issued);
        let info = |lease: &crate::lease::Lease| LeaseInfo {
            id: lease.id.clone(),
            ttl: lease.expires.saturating_sub(now),
            username: lease.credential.as_ref().map(|(name, _)| name.clone()),
            accessor: state.tokens.get(&lease.token).map(|token| token.accessor.clone()).unwrap_or_default(),
        };
        leases.into_iter().map(info).collect()
    }

    /// The requests so far, oldest first; at most the newest 65 536.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().log.entries().cloned().collect()
    }

    /// How many of them had this method (`PUT` and `POST` are the same, empty is any) and exactly this path.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let path = trim(path);
        self.shared
            .lock()
            .log
            .entries()
            .filter(|entry| entry.path == path && same_method(method, &entry.method))
            .count()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.lock().log.clear();
    }
}

pub(crate) fn trim(path: &str) -> String {
    path.trim_matches('/').to_owned()
}
