//! The way through the pod, modelled.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::path::RelPath;

/// What the kubelet does to an env value: `$$` is a dollar, `$(NAME)` the value of an earlier variable or, if there is none,
/// left as it is; any other dollar stays (k8s.io/kubernetes third_party/forked/golang/expansion, as the API describes it).
fn kubelet_expands(value: &str, variables: &BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), value);
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = rest.strip_prefix('(').and_then(|tail| tail.split_once(')')) {
            out.push_str(variables.get(name).map_or(&format!("$({name})"), |value| value));
            rest = tail;
        } else {
            out.push('$');
        }
    }
    out + rest
}

/// Through the pod's env list, as the kubelet builds it up, into the agent.
fn through_the_pod(config: &AgentConfig) -> Result<AgentConfig, ContractError> {
    let mut variables = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    for (name, value) in config.to_env()? {
        let value = kubelet_expands(&value, &variables);
        variables.insert(name, value);
    }
    AgentConfig::from_env(|name| variables.get(name).cloned())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "(\\$\\(HOME\\)|\\$\\$|\\$|\\(|\\)|HOME|\\\\|\"|é|\\\\u0024){0,12}"]
}

prop_compose! {
    fn environment()(name in text(), source in prop_oneof![template(), format()], restart in any::<bool>()) -> Source {
        Source::Environment(EnvSource { syntax: EnvSyntax::Nul, variables: vec![Variable { name, source }], restart })
    }
}

fn option<T: std::fmt::Debug + Clone>(some: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::of(some)
}

prop_compose! {
    fn server()(
        address in text(),
        namespace in option(text()),
        ca_pem in option(text()),
        server_name in option(text()),
        skip_verify in any::<bool>(),
        timeout_seconds in any::<u32>(),
    ) -> Server {
        Server { address, namespace, ca_pem, server_name, skip_verify, timeout_seconds, ..Server::default() }
    }
}

prop_compose! {
    fn template()(text in text(), file in option(text()), left in text(), error_on_missing_key in any::<bool>()) -> Source {
        Source::Template(Template { file, left, error_on_missing_key, ..Template::inline(Engine::Go, text) })
    }
}

prop_compose! {
    fn format()(path in text(), field in option(text())) -> Source {
        Source::Format(FormatSource { format: Format::Json, path, field })
    }
}

prop_compose! {
    fn output()(
        name in text(),
        dir in text(),
        file in "[a-z$()]{1,9}",
        source in prop_oneof![template(), format(), environment()],
        mode in option(0..0o777_u32),
        group in text(),
        optional in any::<bool>(),
        max_stale_seconds in option(any::<u32>()),
    ) -> Output {
        let file = RelPath::parse(&file).unwrap();
        Output { name, dir, file, source, login: 0, mode, group, layout: Layout::Linked, optional, pinned: optional, max_stale_seconds }
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        prop::collection::vec(text(), 1..3).prop_map(|argv| Action::Command { argv }),
        text().prop_map(|name| Action::Signal { signal: Signal::Hup, process: Process::Name(name) }),
        text().prop_map(|path| Action::Signal { signal: Signal::Usr1, process: Process::PidFile(path) }),
        (text(), text()).prop_map(|(method, url)| Action::Http { method, url }),
        text().prop_map(|dir| Action::Touch { dir, file: RelPath::parse("reload").unwrap() }),
    ]
}

prop_compose! {
    fn notify()(group in text(), action in action(), first in any::<bool>()) -> Notify {
        Notify { group, action, first }
    }
}

prop_compose! {
    fn login()(server in option(server()), auth in (text(), text(), text())) -> Login {
        let (mount, role, token_file) = auth;
        let auth = Auth { method: AuthMethod::Kubernetes, mount, role, token_file, min_backoff_ms: 1, max_backoff_ms: 2 };
        Login { server, auth }
    }
}

/// Each output names a login that is there.
fn spread(outputs: Vec<Output>, logins: usize) -> Vec<Output> {
    outputs.into_iter().enumerate().map(|(at, output)| Output { login: at % (logins + 1), ..output }).collect()
}

prop_compose! {
    fn config()(
        pod in (text(), text()),
        server in server(),
        auth in (text(), text(), text(), any::<u64>(), any::<u64>()),
        logins in prop::collection::vec(login(), 0..3),
        outputs in prop::collection::vec(output(), 0..4),
        notify in prop::collection::vec(notify(), 0..3),
        sink in option((text(), any::<u32>())),
        pod_listener in option((any::<u16>(), any::<bool>()).prop_map(|(port, quit)| Listener { port, quit, forward: quit.then_some(Bearer::Force) })),
        refresh in (any::<u64>(), option((0..=1000_u32).prop_map(|share| f64::from(share) / 1000.0)), option(any::<u32>())),
        lifecycle in (any::<bool>(), any::<u32>(), option(any::<u32>())),
        state_dir in text(),
    ) -> AgentConfig {
        let (mount, role, token_file, min_backoff_ms, max_backoff_ms) = auth;
        AgentConfig {
            version: VERSION,
            dialect: Dialect::Native,
            pod: PodIdentity { namespace: pod.0, service_account: pod.1 },
            server,
            auth: Auth { method: AuthMethod::Jwt, mount, role, token_file, min_backoff_ms, max_backoff_ms },
            outputs: spread(outputs, logins.len()),
            logins,
            notify,
            token_sinks: sink.map(|(path, mode)| TokenSink { path, mode, ..TokenSink::default() }).into_iter().collect(),
            listener: pod_listener,
            metrics_port: Some(lifecycle.1 as u16).filter(|port| *port > 0),
            refresh: Refresh {
                static_interval_ms: refresh.0,
                lease_renewal_threshold: refresh.1,
                revoke_superseded_seconds: refresh.2,
            },
            lifecycle: Lifecycle {
                shape: Shape::InitOnly,
                revoke: lifecycle.0,
                revoke_grace_seconds: lifecycle.1,
                exit_on_login_failure: lifecycle.0,
                start_deadline_seconds: lifecycle.2,
            },
            state_dir,
            log: Log::default(),
        }
    }
}

fn example() -> AgentConfig {
    let json = r#"{"version": 1, "dialect": "vault", "pod": {"namespace": "shop", "serviceAccount": "web"},
        "server": {"address": "https://vault:8200"},
        "auth": {"method": "kubernetes", "mount": "auth/kubernetes", "role": "web", "tokenFile": "/token"},
        "outputs": [], "lifecycle": {"shape": "native", "revoke": true}, "stateDir": "/state"}"#;
    AgentConfig::from_json(json).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arrives_as_it_was_sent_whatever_the_kubelet_expands(config in config()) {
        prop_assert_eq!(through_the_pod(&config), Ok(config));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arrives_in_parts_when_it_is_long(unit in text().prop_filter("not empty", |text| !text.is_empty()), more in 0..4_usize) {
        let mut config = example();
        config.state_dir = unit.repeat((more * MAX_ENV_BYTES) / unit.len() + 1);
        let env = config.to_env().unwrap();
        prop_assert!(env.iter().all(|(_, value)| value.len() <= MAX_ENV_BYTES && !value.contains('$')));
        prop_assert_eq!(env[0].0.as_str(), if env.len() == 1 { ENV } else { "SIDEKEY_CONFIG_0" });
        prop_assert!(more < 2 || env.len() >= more);
        prop_assert_eq!(through_the_pod(&config), Ok(config));
    }
}

#[test]
fn fills_in_what_is_left_out() {
    let config = example();
    assert_eq!((config.server.timeout_seconds, config.refresh.static_interval_ms), (60, 300_000));
    assert_eq!((config.auth.min_backoff_ms, config.auth.max_backoff_ms), (1_000, 300_000));
}

#[test]
fn refuses_an_unknown_field_at_every_depth() {
    let json = serde_json::to_value(example()).unwrap();
    for parent in ["", "/pod", "/server", "/auth", "/refresh", "/lifecycle", "/log"] {
        let mut json = json.clone();
        json.pointer_mut(parent).unwrap()["surprise"] = true.into();
        let error = AgentConfig::from_json(&json.to_string()).unwrap_err();
        assert!(matches!(&error, ContractError::Malformed(text) if text.contains("surprise")), "{parent}: {error}");
    }
}

#[test]
fn refuses_an_unknown_field_in_an_output_and_its_source() {
    let source = r#"{"kind": "template", "engine": "go", "text": "x"}"#;
    let output = format!(r#"{{"name":"a","dir":"/d","file":"f","source":{source},"group":"g","layout":"plain"}}"#);
    assert!(serde_json::from_str::<Output>(&output).is_ok());
    let cases =
        [output.replace(r#""name""#, r#""surprise":1,"name""#), output.replace(r#""text""#, r#""surprise":1,"text""#)];
    for case in cases {
        assert!(serde_json::from_str::<Output>(&case).is_err(), "{case}");
    }
}

#[test]
fn names_another_version_before_its_unknown_fields() {
    let json = r#"{"version": 2, "surprise": true}"#;
    assert_eq!(AgentConfig::from_json(json), Err(ContractError::Version(2)));
    assert_eq!(AgentConfig::from_env(|_| None), Err(ContractError::Absent));
}
