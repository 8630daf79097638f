//! The pod's directories: two small volumes, a service account token, a CA file, a template file, and what readers find.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sidekey_core::AgentConfig;

use crate::server::{MOUNT, Server};

/// Bytes of each volume: a dozen sets of files, as a user would ask for.
const SIZE: &str = "256k";

pub(crate) const TEMPLATE: &str = r#"{{ with secret "secret/data/web" }}{{ .Data.data.password }}{{ end }}"#;

pub(crate) struct Pod {
    dir: tempfile::TempDir,
    /// Whether the volumes are tmpfs of their own.
    pub(crate) mounted: bool,
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
        let mut pod = Self { dir, mounted: mounts };
        for volume in ["secrets", "state"] {
            let path = pod.path(volume);
            std::fs::create_dir(&path).unwrap();
            let options = format!("size={SIZE},mode=0755");
            pod.mounted = pod.mounted && act("mount", &["-t", "tmpfs", "-o", &options, "chaos"], &path);
        }
        std::fs::create_dir(pod.path("templates")).unwrap();
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

    /// As the kubelet does: whole, and before the old one ends.
    pub(crate) fn new_jwt(&self, server: &Server) {
        self.write("jwt.new", &server.fake.jwt("shop", "web", "vault"));
        std::fs::rename(self.path("jwt.new"), self.path("jwt")).unwrap();
    }

    /// Of a group that has one link, or one file: the words of each of two files, of one set. A file that is not there has
    /// none; a set that was swept while it was being read says nothing.
    pub(crate) fn pair(&self, group: &str, files: [&str; 2]) -> Option<Seen> {
        let root = self.path("secrets");
        let link = root.join(format!("..data-{group}"));
        let named = std::fs::read_link(&link).ok()?;
        let set = root.join(&named);
        let words = |file: &str| {
            let text = std::fs::read_to_string(set.join(file)).ok()?;
            Some(text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let (first, second) = (words(files[0]), words(files[1]));
        if (first.is_none() || second.is_none()) && (!set.is_dir() || std::fs::read_link(&link).ok()? != named) {
            return None;
        }
        Some(Seen { first: first.unwrap_or_default(), second: second.unwrap_or_default() })
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

    pub(crate) fn config(&self, address: &str, interval_ms: u64) -> AgentConfig {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let output = |file: &str, group: &str, layout: &str, source: Value| json!({"name": file, "dir": path("secrets"), "file": file, "group": group, "layout": layout, "source": source});
        let linked = |file: &str, group: &str, text: &str| {
            output(file, group, "linked", json!({"kind": "template", "engine": "go", "text": text}))
        };
        let config = json!({
            "version": 1,
            "dialect": "native",
            "pod": {"namespace": "shop", "serviceAccount": "web"},
            "server": {"address": address, "caFile": path("ca.pem"), "timeoutSeconds": 600},
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
            ],
            "refresh": {"staticIntervalMs": interval_ms},
            "lifecycle": {"shape": "native", "revoke": true},
            "stateDir": path("state"),
        });
        AgentConfig::from_json(&config.to_string()).unwrap()
    }
}

const PAIR: &str = r#"{{ with secret "secret/data/pair" }}{{ .Data.data.n }} {{ .Data.data.password }}{{ end }}"#;

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
    }
}

fn act(program: &str, words: &[&str], at: &Path) -> bool {
    Command::new(program).args(words).arg(at).output().is_ok_and(|done| done.status.success())
}
