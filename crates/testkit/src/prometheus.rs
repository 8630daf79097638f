//! A real Prometheus, to try dashboards and alerts on: Debian's package `prometheus`.
//!
//! `what to scrape, rule files -> Prometheus on loopback, every two seconds -> the series of a query`

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Time to come up on a machine with much else to do.
const START: Duration = Duration::from_secs(60);

/// What Grafana puts in the place of its variables, for numbers that come every two seconds.
const VARIABLES: [(&str, &str); 3] = [("$__rate_interval", "20s"), ("$__interval", "20s"), ("$namespace", ".*")];

/// A running server; ended and its data removed when dropped.
pub struct Prometheus {
    child: Child,
    port: u16,
    folder: PathBuf,
    /// Unix time.
    begun: u64,
}

/// A query and where it stands.
pub struct Query {
    /// The title of its panel.
    pub place: String,
    /// In PromQL, Grafana's variables replaced.
    pub text: String,
}

/// An alert as the server has read it.
pub struct Alert {
    /// Its name.
    pub name: String,
    /// Its expression, as the server writes it.
    pub text: String,
    /// Why it could not be evaluated.
    pub error: Option<String>,
}

/// Whether there is one to start.
pub fn installed() -> bool {
    Command::new("prometheus").arg("--version").output().is_ok()
}

impl Prometheus {
    /// Starts a server with the list `scrape_configs` (YAML) and the files of rules; what its folder is called says who it is for.
    ///
    /// # Panics
    /// When it does not come up, with its log.
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn start(name: &str, scrape_configs: &str, rules: &[&Path]) -> Self {
        let folder = std::env::temp_dir().join(format!("prometheus-{name}-{}", std::process::id()));
        let port = free_port().unwrap_or_else(|error| panic!("a port of loopback: {error}"));
        let child = spawn(&folder, port, scrape_configs, rules).unwrap_or_else(|error| panic!("prometheus: {error}"));
        let begun = now();
        let server = Self { child, port, folder, begun };
        let end = Instant::now() + START;
        while !server.ask("/-/ready", "").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
            let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "prometheus is not ready after {START:?}:\n{log}");
            sleep(Duration::from_millis(100));
        }
        server
    }

    /// The series of a query now; the error is the server's.
    ///
    /// # Errors
    /// What the server cannot parse or evaluate.
    pub fn now(&self, query: &str) -> Result<Vec<Value>, String> {
        self.result("/api/v1/query", &format!("query={}", encoded(query)))
    }

    /// The series that a panel draws from the start of the server until now; those without one number are left out.
    ///
    /// # Errors
    /// What the server cannot parse or evaluate.
    pub fn drawn(&self, query: &str) -> Result<Vec<Value>, String> {
        let form = format!("query={}&start={}&end={}&step=1", encoded(query), self.begun, now());
        let mut series = self.result("/api/v1/query_range", &form)?;
        let number = |point: &Value| point[1].as_str().is_some_and(|text| text != "NaN");
        series.retain(|series| series["values"].as_array().is_some_and(|points| points.iter().any(number)));
        Ok(series)
    }

    /// The alerts of the files of rules.
    ///
    /// # Errors
    /// The server does not tell.
    pub fn alerts(&self) -> Result<Vec<Alert>, String> {
        let data = self.data("/api/v1/rules", "")?;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alert = |rule: Value| Alert {
            name: text(&rule["name"]),
            text: text(&rule["query"]),
            error: rule["lastError"].as_str().filter(|error| !error.is_empty()).map(str::to_owned),
        };
        Ok(rules.map(alert).collect())
    }

    /// What is scraped, and whether the last scrape went well: `(url, error)`, the error empty if it did.
    ///
    /// # Errors
    /// The server does not tell.
    pub fn targets(&self) -> Result<Vec<(String, String)>, String> {
        let data = self.data("/api/v1/targets?state=active", "")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = data["activeTargets"].as_array().cloned().unwrap_or_default();
        // One that was not scraped yet is not well.
        let error = |target: &Value| match target["health"].as_str() {
            Some("up") => String::new(),
            other => format!("{}: {}", other.unwrap_or_default(), text(&target["lastError"])),
        };
        Ok(all.iter().map(|target| (text(&target["scrapeUrl"]), error(target))).collect())
    }

    fn result(&self, path: &str, form: &str) -> Result<Vec<Value>, String> {
        Ok(self.data(path, form)?["result"].as_array().cloned().unwrap_or_default())
    }

    fn data(&self, path: &str, form: &str) -> Result<Value, String> {
        let answer = self.ask(path, form).map_err(|error| error.to_string())?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).map_err(|error| format!("{error} in {answer}"))?;
        if body["status"] == "success" { Ok(body["data"].clone()) } else { Err(body["error"].to_string()) }
    }

    /// HTTP/1.0: the answer ends with the connection, and is never chunked.
    fn ask(&self, path: &str, form: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(START))?;
        let method = if form.is_empty() { "GET" } else { "POST" };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path, port: u16, scrape_configs: &str, rules: &[&Path]) -> io::Result<Child> {
    std::fs::create_dir_all(folder)?;
    let mut config =
        "global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}\nrule_files:\n".to_owned();
    for file in rules {
        let _ = writeln!(config, "  - {}", file.canonicalize()?.display());
    }
    let _ = writeln!(config, "scrape_configs:\n{scrape_configs}");
    let file = folder.join("prometheus.yaml");
    std::fs::write(&file, config)?;
    let log = std::fs::File::create(folder.join("log"))?;
    Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// The queries of a Grafana dashboard's panels.
///
/// # Panics
/// When it is no dashboard.
#[expect(clippy::panic, reason = "an assertion")]
pub fn panels(dashboard: &Path) -> Vec<Query> {
    let text = std::fs::read_to_string(dashboard).unwrap_or_else(|error| panic!("{}: {error}", dashboard.display()));
    let dashboard: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", dashboard.display()));
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = target["expr"].as_str().unwrap_or_default().to_owned();
            let text = VARIABLES.iter().fold(text, |text, (name, value)| text.replace(name, value));
            queries.push(Query { place: title.to_owned(), text });
        }
    }
    queries
}

/// The selectors of a query whose names begin with one of `prefixes`: `name{label="value"}`, each once.
pub fn selectors(query: &str, prefixes: &[&str]) -> Vec<String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found: Vec<String> = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(inner) {
        let tail = rest.split_at(start).1;
        let (word, behind) = tail.split_at(tail.find(|c| !inner(c)).unwrap_or(tail.len()));
        let matchers =
            behind.starts_with('{').then(|| behind.find('}').map(|end| behind.split_at(end + 1).0)).flatten();
        let selector = format!("{word}{}", matchers.unwrap_or_default());
        if prefixes.iter().any(|prefix| word.starts_with(prefix)) && !found.contains(&selector) {
            found.push(selector);
        }
        rest = behind.split_at(matchers.map_or(0, str::len)).1;
    }
    found
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// For a form.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_selector_of_a_query_once() {
        let query = r#"sum by (a_one) (a_one{b="a_two"} - (a_one{b="a_two"} offset 1h or a_one * 0)) > on (x) b_three"#;
        assert_eq!(selectors(query, &["a_"]), [r#"a_one"#, r#"a_one{b="a_two"}"#]);
        assert_eq!(selectors("rate(b_three[5m])", &["b_"]), ["b_three"]);
    }
}
