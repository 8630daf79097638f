use super::*;

#[test]
fn keeps_the_defaults_of_what_is_not_said() {
    let settings = Settings::from_yaml("vaultAddress: https://vault:8200\nresources:\n  cpuLimit: 1\n").unwrap();
    assert_eq!(settings.vault_address, "https://vault:8200");
    assert_eq!(settings.resources.cpu_limit, Quantity::parse("1").unwrap());
    assert_eq!(settings.audience, "vault");
    assert_eq!(Settings::from_yaml("# nothing\n").unwrap(), Settings::default());
}

#[test]
fn reads_the_former_boolean_of_the_security_context() {
    let cases = [
        ("setSecurityContext: false", SecurityContext::None),
        ("setSecurityContext: true", SecurityContext::Full),
        ("securityContext: platformUser", SecurityContext::PlatformUser),
        ("securityContext: none", SecurityContext::None),
    ];
    for (text, want) in cases {
        assert_eq!(Settings::from_yaml(text).unwrap().security_context, want, "{text}");
    }
    assert!(Settings::from_yaml("securityContext: some").unwrap_err().message.contains("platformUser"));
}

#[test]
fn takes_for_all_pods_what_a_pod_may_say() {
    for (key, value) in [
        ("vault.hashicorp.com/log-level", "WARNING"),
        ("vault.hashicorp.com/agent-inject-default-template", "JSON"),
        ("vault.hashicorp.com/agent-set-security-context", "none"),
        ("sidekey.dev/format", "yml"),
        ("sidekey.dev/image-pull-policy", ""),
        ("sidekey.dev/auth-type", "token_file"),
        ("sidekey.dev/address", "http://vault:8200"),
        ("sidekey.dev/proxy-address", ""),
        ("sidekey.dev/metrics-port", ""),
        ("sidekey.dev/path", "secrets/"),
    ] {
        let text = format!("policy: {{forced: {{{key}: \"{value}\"}}}}");
        assert!(Settings::from_yaml(&text).is_ok(), "{text}: {:?}", Settings::from_yaml(&text));
    }
}

#[test]
fn names_the_line_of_what_it_refuses() {
    let cases = [
        ("audience: vault\nvaultAdress: x\n", 2, "vaultAdress"),
        ("audience: vault\n\nstaticInterval: soon\n", 3, "soon"),
        ("nativeSidecars: maybe\n", 1, "maybe"),
        ("tokenExpirationSeconds: 60\n", 1, "600"),
        ("resources:\n  cpuLimit: much\n", 2, "much"),
        ("audience: [\n", 1, ""),
        ("policy:\n  defaults:\n    sidekey.dev/rolle: x\n", 3, "the nearest is role"),
        ("policy:\n  defaults:\n    sidekey.dev/init-first: maybe\n", 3, "sidekey.dev/init-first: `maybe`"),
        ("audience: vault\nauthType: kubernets\n", 2, "`kubernets`; use one of kubernetes, jwt"),
        ("authType: ldap\n", 1, "person's password"),
        ("vaultAddress: vault:8200\n", 1, "`vault:8200` has no scheme"),
        ("proxyAddress: proxy:3128\n", 1, "`proxy:3128` has no scheme"),
        ("audience: vault\ncaPem: garbage\n", 2, "no certificate in PEM"),
        ("caPem: \"-----BEGIN CERTIFICATE-----\\nYQ==\"\n", 1, "no certificate in PEM"),
        ("caPem: \"-----BEGIN CERTIFICATE-----\\nYQ=\\n-----END CERTIFICATE-----\"\n", 1, "no certificate in PEM"),
        ("runAsUser: -1\n", 1, "no uid or gid"),
        ("policy:\n  forced:\n    vault.hashicorp.com/log-level: loud\n", 3, "`loud` is none of `trace`, `debug`"),
        ("policy:\n  forced:\n    sidekey.dev/role: a\n    sidekey.dev/format-db: yam\n", 4, "`yam` is none of `env`"),
        ("policy:\n  forced:\n    sidekey.dev/role: a\n    sidekey.dev/rolle: b\n", 4, "the nearest is role"),
        ("policy:\n  forbidden:\n    - sidekey.dev/role\n    - sidekey.dev/rolle\n", 4, "the nearest is role"),
        ("policy:\n  defaults:\n    vault.hashicorp.com/agent-inject-default-template: xml\n", 3, "`xml`"),
        ("policy:\n  defaults:\n    sidekey.dev/auth-type: kubernets\n", 3, "no auth method `kubernets`"),
        ("policy:\n  defaults:\n    openbao.org/service: vault:8200\n", 3, "has no scheme"),
        ("policy:\n  defaults:\n    sidekey.dev/address-db: vault:8200\n", 3, "has no scheme"),
        ("policy:\n  defaults:\n    sidekey.dev/proxy-address: proxy\n", 3, "has no scheme"),
        ("policy:\n  defaults:\n    sidekey.dev/metrics-port: \"0\"\n", 3, "`0` is not a whole number"),
        ("policy:\n  defaults:\n    sidekey.dev/run-as-user: \"-1\"\n", 3, "`-1` is not"),
        ("policy:\n  defaults:\n    sidekey.dev/path: /\n", 3, "the directory of a volume"),
        ("policy:\n  forced:\n    sidekey.dev/inject: \"true\"\n", 3, "for pods alone"),
        ("policy:\n  forbidden: [example.com/x]\n", 2, "begins with none of"),
        ("policy:\n  allow: {}\n", 2, "allow"),
        ("namespaces:\n  - names: [a]\n    polizy: {}\n", 3, "polizy"),
    ];
    for (text, line, word) in cases {
        let error = Settings::from_yaml(text).unwrap_err();
        assert_eq!(error.line, Some(line), "{text}: {error}");
        assert!(error.message.contains(word), "{text}: {error}");
    }
}
