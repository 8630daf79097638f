//! The agent's AWS login against Vault's own aws method, and against AWS's own signer in the place of STS (`tools/sts`).
//! `.ci/aws` builds the other side and runs this. All of it is on the loopback address and ends with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test's program"
)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// One login: what the pod gives, what the file says, and what must come of it: a token of which Vault says this, or these words.
struct Case {
    name: &'static str,
    env: &'static [(&'static str, &'static str)],
    role: &'static str,
    config: &'static str,
    result: Result<&'static str, &'static [&'static str]>,
}

const USER: &str = "arn:aws:iam::123456789012:user/web";
/// What Vault notes on the token of such a login.
const KNOWN: &str = "account_id:123456789012 auth_type:iam";
const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "AKIAWEB"), ("AWS_SECRET_ACCESS_KEY", "secret/of+web")];
const WEB: &[(&str, &str)] =
    &[("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "{dir}/identity")];
const SERVER: &str = "header_value = \"vault.example\"\n";

const CASES: &[Case] = &[
    Case { name: "keys of the environment", env: KEYS, role: "web", config: SERVER, result: Ok(KNOWN) },
    Case {
        name: "another region",
        env: KEYS,
        role: "web",
        config: "header_value = \"vault.example\"\nregion = \"eu-west-1\"\n",
        result: Ok(KNOWN),
    },
    Case {
        name: "a region of China",
        env: &[
            ("AWS_ACCESS_KEY_ID", "AKIAWEB"),
            ("AWS_SECRET_ACCESS_KEY", "secret/of+web"),
            ("AWS_REGION", "cn-north-1"),
        ],
        role: "web",
        config: SERVER,
        result: Ok(KNOWN),
    },
    Case {
        name: "a profile of a credentials file",
        env: &[("AWS_PROFILE", "web")],
        role: "web",
        config: "header_value = \"vault.example\"\ncredentials_file = \"{dir}/credentials\"\n",
        result: Ok(KNOWN),
    },
    Case { name: "a web identity", env: WEB, role: "irsa", config: SERVER, result: Ok(KNOWN) },
    Case {
        name: "a secret key that is wrong",
        env: &[("AWS_ACCESS_KEY_ID", "AKIAWEB"), ("AWS_SECRET_ACCESS_KEY", "wrong")],
        role: "web",
        config: SERVER,
        result: Err(&["SK3119", "SignatureDoesNotMatch"]),
    },
    Case {
        name: "a key that nobody has",
        env: &[("AWS_ACCESS_KEY_ID", "AKIANOBODY"), ("AWS_SECRET_ACCESS_KEY", "x")],
        role: "web",
        config: SERVER,
        result: Err(&["SK3119", "InvalidClientTokenId"]),
    },
    Case {
        name: "a principal that the role does not name",
        env: KEYS,
        role: "irsa",
        config: SERVER,
        result: Err(&["bound_iam_principal_arn"]),
    },
    Case { name: "no header", env: KEYS, role: "web", config: "", result: Err(&["header_value"]) },
    Case {
        name: "another server's header",
        env: KEYS,
        role: "web",
        config: "header_value = \"other.example\"\n",
        result: Err(&["header_value"]),
    },
    Case { name: "a role that is not there", env: KEYS, role: "gone", config: SERVER, result: Err(&["role", "gone"]) },
    Case {
        name: "a web identity that is not trusted",
        env: &[
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "{dir}/stranger"),
        ],
        role: "irsa",
        config: SERVER,
        result: Err(&["SK3119", "InvalidIdentityToken"]),
    },
];

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(program: &str, arguments: &[&str], log: &Path) -> Running {
    let (out, err) = (fs::File::create(log).unwrap(), fs::File::create(log.with_extension("err")).unwrap());
    let mut command = Command::new(program);
    let child = command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect(program);
    Running(child)
}

/// Vault's command line; its output if it did what it should.
fn vault(program: &str, address: &str, token: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    let out = command.args(arguments).env("VAULT_ADDR", address).env("VAULT_TOKEN", token).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

fn set_up(program: &str, address: &str, sts: &str) {
    let done = |arguments: &[&str]| vault(program, address, "root", arguments).unwrap();
    (0..100).find(|_| {
        sleep(Duration::from_millis(100));
        vault(program, address, "root", &["status"]).is_ok()
    });
    done(&["auth", "enable", "-path=aws", "-plugin-name=aws", "plugin"]);
    let endpoint = format!("sts_endpoint={sts}");
    let server = "iam_server_id_header_value=vault.example";
    done(&["write", "auth/aws/config/client", &endpoint, "sts_region=us-east-1", server]);
    for (role, principal) in [("web", USER), ("irsa", "arn:aws:iam::123456789012:role/web")] {
        let bound = format!("bound_iam_principal_arn={principal}");
        let role = format!("auth/aws/role/{role}");
        done(&["write", &role, "auth_type=iam", "resolve_aws_unique_ids=false", &bound]);
    }
}

/// Runs the agent once; what Vault says of the token in its sink, or what the agent said.
fn login(agent: &str, (program, address): (&str, &str), sts: &str, dir: &Path, case: &Case) -> Result<String, String> {
    let here = |text: &str| text.replace("{dir}", dir.to_str().unwrap());
    let (file, sink) = (dir.join("agent.hcl"), dir.join("sink"));
    let _ = fs::remove_file(&sink);
    let text = format!(
        "vault {{ address = \"{address}\" }}\nexit_after_auth = true\nauto_auth {{\n  method \"aws\" {{\n    exit_on_err = true\n\
         config = {{\n type = \"iam\"\n role = \"{}\"\n {} }}\n  }}\n  sink \"file\" {{ config = {{ path = \"{}\" }} }}\n}}\n",
        case.role,
        here(case.config),
        sink.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new("timeout");
    command.arg("60").arg(agent).args(["run", "--config"]).arg(&file).env_clear().env("AWS_ENDPOINT_URL_STS", sts);
    let out = command.envs(case.env.iter().map(|(name, value)| (name, here(value)))).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    for secret in ["secret/of", "session//token", "web-identity.of"] {
        assert!(!said.contains(secret), "{}: it tells {secret}: {said}", case.name);
    }
    let token = fs::read_to_string(&sink).map_err(|_| said.clone())?;
    assert!(out.status.success(), "{}: {said}", case.name);
    vault(program, address, token.trim(), &["read", "auth/token/lookup-self"])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, plugins, sts, agent] = &arguments[..] else { panic!("aws VAULT PLUGINS STS AGENT") };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("identity"), "web-identity.of+the.pod\n").unwrap();
    fs::write(dir.join("stranger"), "another").unwrap();
    let profile = "[default]\naws_access_key_id = X\naws_secret_access_key = Y\n\n[web]\naws_access_key_id = AKIAWEB\n\
                   aws_secret_access_key = secret/of+web\n";
    fs::write(dir.join("credentials"), profile).unwrap();
    let (ports, host) = ([free(), free()], "127.0.0.1");
    let _sts = start(sts, &[&format!("{host}:{}", ports[0])], &dir.join("sts.log"));
    let listen = format!("-dev-listen-address={host}:{}", ports[1]);
    let plugins = format!("-dev-plugin-dir={plugins}");
    let arguments = ["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token", &listen, &plugins];
    let _vault = start(program, &arguments, &dir.join("vault.log"));
    let (sts, address) = (format!("http://{host}:{}", ports[0]), format!("http://{host}:{}", ports[1]));
    set_up(program, &address, &sts);
    for case in CASES {
        let got = login(agent, (program, &address), &sts, dir, case);
        match (case.result, &got) {
            (Ok(note), Ok(said)) if said.contains(note) => {}
            (Err(words), Err(said)) if words.iter().all(|word| said.contains(word)) => {}
            _ => panic!("{}: {got:#?}", case.name),
        }
        println!("aws: {}: {}", case.name, if got.is_ok() { "logged in" } else { "refused, and says why" });
    }
}
