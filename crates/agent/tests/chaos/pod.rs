//! The pod's directories: two small volumes, a service account token, a CA file, a template file, and what readers find.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sidekey_core::AgentConfig;

use crate::beside::Beside;
use crate::server::{MOUNT, NAME, Server};

/// Bytes of each volume: a dozen sets of files, as a user would ask for.
const SIZE: &str = "256k";

/// Seconds for which a file may be shown without an answer.
pub(crate) const LIMIT: u64 = 60;

/// Seconds of a certificate's life.
pub(crate) const CERTIFICATE: u64 = 300;

/// What a name is looked up in.
const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";

pub(crate) const TEMPLATE: &str = r#"{{ with secret "secret/data/web" }}{{ .Data.data.password }}{{ end }}"#;

pub(crate) struct Pod {
    dir: tempfile::TempDir,
    /// Whether the volumes are tmpfs of their own.
    pub(crate) mounted: bool,
    /// Whether the run says what names resolve to.
    pub(crate) named: bool,
}

/// What a group of two files shows: both of one version, or nothing yet.
pub(crate) struct Seen {
    pub(crate) first: Vec<String>,
    pub(crate) second: Vec<String>,
}

impl Pod {
    /// `mounts`: each volume is a small tmpfs, where that can be had.
    pub(crate) fn new(server: &Server, mounts: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut pod = Self { dir, mounted: mounts, named: false };
        for volume in ["secrets", "state"] {
            let path = pod.path(volume);
            std::fs::create_dir(&path).unwrap();
            let options = format!("size={SIZE},mode=0755");
            pod.mounted = pod.mounted && act("mount", &["-t", "tmpfs", "-o", &options, "chaos"], &path);
        }
        pod.resolve(true);
        // Where nobody serves names.
        pod.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
        let bind = |from: &str, to: &str| act("mount", &["--bind", pod.path(from).to_str().unwrap()], Path::new(to));
        pod.named = pod.mounted && bind("hosts", HOSTS) && bind("resolv.conf", RESOLVER);
        for directory in ["templates", "sink", "exec"] {
            std::fs::create_dir(pod.path(directory)).unwrap();
        }
        // The agent would put itself there, which is this program: large, and no `sidekey-agent`.
        symlink(std::env::current_exe().unwrap(), pod.path("exec/sidekey-agent")).unwrap();
        pod.write("templates/web.tpl", TEMPLATE);
        pod.write("ca.pem", &server.ca());
        pod.write("termination", "");
        pod.new_jwt(server);
        pod
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Whether the server's name is known. Written in place: what is mounted is this very file.
    pub(crate) fn resolve(&self, known: bool) {
        let name = if known { format!("127.0.0.1 {NAME}\n") } else { String::new() };
        self.write("hosts", &format!("127.0.0.1 localhost\n{name}"));
    }

    /// As the kubelet does: whole, and before the old one ends.
    pub(crate) fn new_jwt(&self, server: &Server) {
        self.write("jwt.new", &server.fake.jwt("shop", "web", "vault"));
        std::fs::rename(self.path("jwt.new"), self.path("jwt")).unwrap();
    }

    /// Of a group that has one link: the words of each of two files, of one set. A file that is not there has none.
    pub(crate) fn pair(&self, group: &str, files: [&str; 2]) -> Option<Seen> {
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
        let [first, second] = self.set(group, files)?.map(|text| text.map(words).unwrap_or_default());
        Some(Seen { first, second })
    }

    /// The two files themselves. A set that was swept while it was being read says nothing.
    pub(crate) fn set(&self, group: &str, files: [&str; 2]) -> Option<[Option<String>; 2]> {
        let root = self.path("secrets");
        let link = root.join(format!("..data-{group}"));
        let named = std::fs::read_link(&link).ok()?;
        let set = root.join(&named);
        let texts = files.map(|file| std::fs::read_to_string(set.join(file)).ok());
        if texts.contains(&None) && (!set.is_dir() || std::fs::read_link(&link).ok()? != named) {
            return None;
        }
        Some(texts)
    }

    /// Users of the credentials in all sets of the linked groups, those that were replaced a moment ago among them.
    pub(crate) fn users(&self) -> Vec<String> {
        let sets = std::fs::read_dir(self.path("secrets")).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = sets.flat_map(|set| ["app.user", "both.a"].map(|file| set.join(file)));
        let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        texts.map(words).filter_map(|words| words.last().cloned()).collect()
    }

    pub(crate) fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.path("secrets").join(file)).ok()
    }

    /// Takes every free block of a volume.
    pub(crate) fn fill(&self, volume: &str) {
        use std::io::Write;
        let mut filler = std::fs::File::create(self.path(volume).join("filler")).unwrap();
        while filler.write_all(&[b'x'; 4096]).is_ok() {}
    }

    pub(crate) fn empty(&self, volume: &str) {
        std::fs::remove_file(self.path(volume).join("filler")).unwrap();
    }

    pub(crate) fn remount(&self, option: &str) {
        assert!(act("mount", &["-o", &format!("remount,{option}")], &self.path("secrets")), "remount,{option}");
    }

    /// `beside`: what the app has beside its files.
    pub(crate) fn config(&self, address: &str, interval_ms: u64, beside: Option<&Beside>) -> AgentConfig {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let output = |file: &str, group: &str, layout: &str, source: Value| json!({"name": file, "dir": path("secrets"), "file": file, "group": group, "layout": layout, "source": source});
        let linked = |file: &str, group: &str, text: &str| {
            output(file, group, "linked", json!({"kind": "template", "engine": "go", "text": text}))
        };
        let mut limited = output(
            "limited.json",
            "limited.json",
            "plain",
            json!({"kind": "format", "format": "json", "path": "secret/data/web"}),
        );
        limited["maxStaleSeconds"] = json!(LIMIT);
        let mut config = json!({
            "version": 1,
            "dialect": "native",
            "pod": {"namespace": "shop", "serviceAccount": "web"},
            "server": {"address": address, "caFile": path("ca.pem"), "serverName": "localhost", "timeoutSeconds": 600},
            "auth": {"method": "kubernetes", "mount": MOUNT, "role": "web", "tokenFile": path("jwt"), "maxBackoffMs": 60_000},
            "outputs": [
                linked("pair.a", "pair", PAIR),
                linked("pair.b", "pair", PAIR),
                linked("app.user", "app", &leased("app", "{{ .LeaseID }} {{ .Data.username }}")),
                linked("app.pass", "app", &leased("app", "{{ .LeaseID }} {{ .Data.password }}")),
                linked("both.a", "both", &format!("{PAIR} {}", leased("job", "{{ .LeaseID }} {{ .Data.username }}"))),
                linked("both.b", "both", &format!("{PAIR} {}", leased("job", "{{ .LeaseID }} {{ .Data.password }}"))),
                output("job.json", "job.json", "plain", json!({"kind": "format", "format": "json", "path": "database/creds/job"})),
                output("web", "web", "plain", json!({"kind": "template", "engine": "go", "file": path("templates/web.tpl")})),
                linked("tls.crt", "tls", &issued("certificate")),
                linked("tls.key", "tls", &issued("private_key")),
                limited,
            ],
            "tokenSinks": [{"path": path("sink/token"), "mode": 0o600}],
            "refresh": {"staticIntervalMs": interval_ms},
            "lifecycle": {"shape": "native", "revoke": true},
            "stateDir": path("state"),
        });
        if let Some(beside) = beside {
            let action = json!({"kind": "http", "method": "POST", "url": format!("http://{}/changed", beside.told_at)});
            config["notify"] = json!([{"group": "pair", "action": action, "first": true}]);
            config["listener"] = json!({"port": beside.port, "forward": "agent"});
            let password = json!({"kind": "format", "format": "raw", "path": "secret/data/web", "field": "password"});
            let source = json!({"kind": "environment", "syntax": "nul", "variables": [{"name": "PASSWORD", "source": password}]});
            let mut environment = output("env.sock", "environment", "served", source);
            environment["dir"] = json!(path("exec"));
            config["outputs"].as_array_mut().unwrap().push(environment);
        }
        AgentConfig::from_json(&config.to_string()).unwrap()
    }
}

const PAIR: &str = r#"{{ with secret "secret/data/pair" }}{{ .Data.data.n }} {{ .Data.data.password }}{{ end }}"#;

/// The serial number, and then a part of the certificate that has it.
fn issued(part: &str) -> String {
    format!(
        r#"{{{{ with secret "pki/issue/web" "common_name=web.test" "ttl={CERTIFICATE}s" }}}}{{{{ .Data.serial_number }}}}
{{{{ .Data.{part} }}}}{{{{ end }}}}"#
    )
}

fn leased(role: &str, show: &str) -> String {
    format!(r#"{{{{ with secret "database/creds/{role}" }}}}{show}{{{{ end }}}}"#)
}

impl Drop for Pod {
    fn drop(&mut self) {
        if self.mounted {
            for volume in ["secrets", "state"] {
                let _ = act("umount", &["--lazy"], &self.path(volume));
            }
        }
        if self.named {
            for file in [HOSTS, RESOLVER] {
                let _ = act("umount", &["--lazy"], Path::new(file));
            }
        }
    }
}

fn act(program: &str, words: &[&str], at: &Path) -> bool {
    Command::new(program).args(words).arg(at).output().is_ok_and(|done| done.status.success())
}
