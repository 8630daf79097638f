//! A real Prometheus, where one is installed, draws each panel.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use sidekey_runtime::metrics::CONTENT_TYPE;
use sidekey_testkit::prometheus::{self, Prometheus};

use super::{PARTS, alerts, directory};

/// Serves what a program says, in which more has happened each time it is asked; its port.
fn serve(said: fn(usize) -> String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (times, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let body = said(times + 1);
            // A request without a body is one segment.
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}");
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    port
}

/// What is not drawn, or not evaluated, and why.
fn complaints(server: &Prometheus) -> Vec<String> {
    let mut complaints = Vec::new();
    for part in PARTS {
        let dashboard = directory().join(format!("{}dashboard.json", part.files));
        for query in prometheus::panels(&dashboard) {
            match server.drawn(&query.text) {
                Ok(series) if series.is_empty() => {
                    complaints.push(format!("{}: no series: {}", query.place, query.text));
                }
                Ok(_) => {}
                Err(error) => complaints.push(format!("{}: {error}: {}", query.place, query.text)),
            }
        }
    }
    for alert in server.alerts().unwrap() {
        complaints.extend(alert.error.map(|error| format!("{}: {error}", alert.name)));
        let all = PARTS.iter().flat_map(|part| part.prefixes).copied().collect::<Vec<_>>();
        for selector in prometheus::selectors(&alert.text, &all) {
            if server.drawn(&selector).unwrap().is_empty() {
                complaints.push(format!("{}: no series: {selector}", alert.name));
            }
        }
    }
    complaints
}

/// The same on a cluster, with numbers of real events: e2e/tests/monitoring.rs.
#[test]
fn a_real_prometheus_reads_all_numbers_and_draws_each_panel() {
    if !prometheus::installed() {
        println!("not run: prometheus is not installed");
        return;
    }
    let jobs = PARTS.map(|part| {
        format!(
            "  - {{job_name: \"{}x\", honor_labels: true, static_configs: [{{targets: [\"127.0.0.1:{}\"], \
             labels: {{namespace: sidekey, pod: a}}}}]}}\n",
            part.files,
            serve(part.said)
        )
    });
    let rules = PARTS.map(|part| directory().join(format!("{}alerts.yaml", part.files)));
    let server = Prometheus::start("monitoring", &jobs.concat(), &[&rules[0], &rules[1]]);
    assert_eq!(server.alerts().unwrap().len(), PARTS.iter().flat_map(alerts).count());
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        // A rate needs two scrapes.
        std::thread::sleep(Duration::from_millis(500));
        let complaints = complaints(&server);
        if complaints.is_empty() {
            break;
        }
        let targets = server.targets().unwrap();
        assert!(Instant::now() < end, "{targets:#?}\n{}", complaints.join("\n"));
    }
}
