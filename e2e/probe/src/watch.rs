//! Each second: read the credential, log in with it once, and ask every held connection whether it still answers.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, Config, NoTls};

use crate::credential;

const PATIENCE: Duration = Duration::from_secs(5);

/// Vault sets a user's end five seconds after its lease's; one second more is for its queue of revocations.
const AFTER_LEASE: f64 = 6.0;

/// Until when the role of this very connection may log in: what Vault last wrote, so it follows renewals.
const LEFT: &str =
    "select extract(epoch from rolvaliduntil - now())::float8 from pg_roles where rolname = current_user";

/// What to watch and how long.
pub(crate) struct Plan {
    host: String,
    port: u16,
    path: PathBuf,
    seconds: u64,
    users: usize,
    at_most: u64,
}

impl Plan {
    /// `ADDRESS PATH SECONDS [USERS AT-MOST]`: goes on beyond SECONDS, to AT-MOST, while fewer than USERS were seen.
    pub(crate) fn parse(args: &[&str]) -> Option<Self> {
        let (address, path, seconds, users, at_most) = match args {
            [address, path, seconds] => (address, path, seconds, "0", *seconds),
            [address, path, seconds, users, at_most] => (address, path, seconds, *users, *at_most),
            _ => return None,
        };
        let (host, port) = address.rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            path: path.into(),
            seconds: seconds.parse().ok()?,
            users: users.parse().ok()?,
            at_most: at_most.parse().ok()?,
        })
    }

    fn goes_on(&self, tally: &Tally) -> bool {
        tally.seconds < self.seconds || (tally.users < self.users && tally.seconds < self.at_most)
    }
}

/// The counts of the last line.
#[derive(Default)]
struct Tally {
    seconds: u64,
    attempts: u64,
    failures: u64,
    torn: u64,
    users: usize,
    held_queries: u64,
    held_broken_early: u64,
    errors: Vec<String>,
}

impl Tally {
    fn error(&mut self, what: &str) {
        if self.errors.len() < 10 {
            self.errors.push(format!("at {} s: {what}", self.seconds));
        }
    }
}

/// The first connection of one user name, kept open to its lease's end.
struct Held {
    user: String,
    client: Client,
    /// The lease's natural end; moves when the lease is renewed.
    end: Instant,
    over: bool,
}

/// Runs the plan; one line per new user and per failure, and the tally as the last line.
pub(crate) async fn run(plan: Plan) -> io::Result<()> {
    let mut tally = Tally::default();
    let mut held: Vec<Held> = Vec::new();
    let mut ticks = interval(Duration::from_secs(1));
    // A late tick is made up for: the number of attempts is part of the claim.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while plan.goes_on(&tally) {
        ticks.tick().await;
        attempt(&plan, &mut tally, &mut held).await?;
        for connection in held.iter_mut().filter(|it| !it.over) {
            ask(connection, &mut tally).await?;
        }
        tally.seconds += 1;
    }
    say(&json!({
        "seconds": tally.seconds, "attempts": tally.attempts, "failures": tally.failures, "torn": tally.torn,
        "users": tally.users, "held_queries": tally.held_queries, "held_broken_early": tally.held_broken_early,
        "errors": tally.errors,
    }))
}

async fn attempt(plan: &Plan, tally: &mut Tally, held: &mut Vec<Held>) -> io::Result<()> {
    tally.attempts += 1;
    let credential = match credential::read(&plan.path) {
        Ok(credential) => credential,
        Err(error) => {
            tally.torn += 1;
            tally.error(&format!("reading: {error}"));
            return say(&json!({"second": tally.seconds, "torn": error}));
        }
    };
    match timeout(PATIENCE, log_in(plan, &credential)).await.unwrap_or_else(|_| Err("no answer".to_owned())) {
        Ok(client) if held.iter().all(|it| it.user != credential.user) => {
            tally.users += 1;
            say(&json!({"second": tally.seconds, "user": credential.user}))?;
            held.push(Held { user: credential.user, client, end: Instant::now(), over: false });
        }
        Ok(_) => {}
        Err(error) => {
            tally.failures += 1;
            tally.error(&format!("logging in as {}: {error}", credential.user));
            say(&json!({"second": tally.seconds, "user": credential.user, "login": error}))?;
        }
    }
    Ok(())
}

async fn log_in(plan: &Plan, credential: &credential::Credential) -> Result<Client, String> {
    let (client, connection) = Config::new()
        .host(&plan.host)
        .port(plan.port)
        .user(&credential.user)
        .password(&credential.password)
        .dbname("postgres")
        .connect(NoTls)
        .await
        .map_err(|error| explain(&error))?;
    tokio::spawn(connection);
    client.simple_query("select 1").await.map_err(|error| explain(&error))?;
    Ok(client)
}

/// One query on a held connection. It may break only after its lease's end, and is let go of then.
async fn ask(held: &mut Held, tally: &mut Tally) -> io::Result<()> {
    let answer = timeout(PATIENCE, held.client.query_one(LEFT, &[])).await;
    tally.held_queries += 1;
    match answer {
        Ok(Ok(row)) => {
            let left = row.try_get::<_, f64>(0).unwrap_or_default() - AFTER_LEASE;
            held.end = Instant::now() + Duration::from_secs_f64(left.max(0.0));
            held.over = left <= 0.0;
            Ok(())
        }
        broken => {
            held.over = true;
            let early = held.end.saturating_duration_since(Instant::now());
            if early.is_zero() {
                return Ok(());
            }
            tally.held_broken_early += 1;
            let error = broken
                .map_or_else(|_| "no answer".to_owned(), |it| it.map_or_else(|it| explain(&it), |_| String::new()));
            tally.error(&format!("held connection of {} broke {early:?} early: {error}", held.user));
            say(&json!({"second": tally.seconds, "user": held.user, "held": error, "early_ms": early.as_millis()}))
        }
    }
}

/// The server's words where there are any; the driver's own text is only `db error`.
fn explain(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}

fn say(line: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
