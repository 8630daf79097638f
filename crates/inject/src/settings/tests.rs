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
