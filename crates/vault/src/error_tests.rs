use super::*;

fn answered(status: u16, errors: &[&str]) -> VaultError {
    let errors: Vec<String> = errors.iter().map(|text| (*text).to_owned()).collect();
    VaultError::answered("GET", "secret/data/web", status, Some(&errors))
}

#[test]
fn tells_vaults_answers_apart() {
    let cases: [(u16, &[&str], Class, FailureKind); 22] = [
        (400, &["missing role"], Class::BadRequest, FailureKind::Other),
        (400, &["lease not found"], Class::Missing, FailureKind::Missing),
        (400, &["lease is not renewable"], Class::BadRequest, FailureKind::Other),
        (400, &["token not found"], Class::InvalidToken, FailureKind::TokenDead),
        (403, &["1 error occurred:\n\t* permission denied\n\n"], Class::Denied, FailureKind::Denied),
        (
            403,
            &["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"],
            Class::InvalidToken,
            FailureKind::TokenDead,
        ),
        (403, &["bad token"], Class::InvalidToken, FailureKind::TokenDead),
        (403, &["namespace not authorized"], Class::Denied, FailureKind::Denied),
        (404, &[], Class::Missing, FailureKind::Missing),
        (404, &["1 error occurred:\n\t* unsupported path\n\n"], Class::MethodNotAllowed, FailureKind::Other),
        (405, &["1 error occurred:\n\t* unsupported operation\n\n"], Class::MethodNotAllowed, FailureKind::Other),
        (412, &["required index state not present"], Class::Stale, FailureKind::Stale),
        (413, &["request body too large"], Class::BadRequest, FailureKind::Other),
        (429, &["rate limit quota exceeded"], Class::RateLimited, FailureKind::Limited),
        (472, &[], Class::StandbyRead, FailureKind::Stale),
        (473, &[], Class::StandbyRead, FailureKind::Stale),
        (500, &["internal error"], Class::Internal, FailureKind::Other),
        (501, &[], Class::Uninitialised, FailureKind::Unreachable),
        (502, &["upstream rate limited"], Class::RateLimited, FailureKind::Limited),
        (503, &["Vault is sealed"], Class::Sealed, FailureKind::Unreachable),
        (503, &["Vault is not initialized"], Class::Uninitialised, FailureKind::Unreachable),
        (307, &[], Class::Standby, FailureKind::Unreachable),
    ];
    for (status, errors, class, kind) in cases {
        let error = answered(status, errors);
        assert_eq!((error.class, error.failure().kind), (class, kind), "{status} {errors:?}");
    }
}

#[test]
fn does_not_take_a_foreign_page_for_vaults_word() {
    for (status, class) in
        [(404, Class::Protocol), (403, Class::Protocol), (503, Class::Protocol), (429, Class::RateLimited)]
    {
        assert_eq!(VaultError::answered("GET", "a", status, None).class, class, "{status}");
    }
}

#[test]
fn slows_down_when_a_503_says_for_how_long() {
    let mut error = answered(503, &["lease count quota exceeded"]);
    assert_eq!(error.failure().kind, FailureKind::Other);
    error.retry_after = Some(Duration::from_secs(7));
    assert_eq!(error.failure(), Failure { kind: FailureKind::Limited, retry_after: Some(Duration::from_secs(7)) });
}

#[test]
fn makes_one_clean_line_of_vaults_words() {
    let jwt = format!("bad jwt eyJ{} here", "a".repeat(60));
    let cases = [
        ("1 error occurred:\n\t* permission denied\n\n", "permission denied"),
        ("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "permission denied, invalid token"),
        ("plain \u{1b}[31mred\u{7}", "plain [31mred"),
        ("token hvs.CAESIABCDEFGHIJKLMNOPQRSTUV is bad", "token [removed] is bad"),
        ("token s.ABCDEFGHIJKLMNOPQRSTUVWX", "token [removed]"),
        (jwt.as_str(), "bad jwt [removed] here"),
        ("invalid role name \"web.x\"", "invalid role name \"web.x\""),
    ];
    for (text, want) in cases {
        assert_eq!(clean(text), want);
    }
    assert_eq!(clean(&"é".repeat(400)).chars().count(), MAX_SAID_CHARS + 1);
}

#[test]
fn prints_who_was_asked_and_what_came_back() {
    assert_eq!(answered(403, &["permission denied"]).to_string(), "GET secret/data/web: 403 permission denied");
    let dns = VaultError::new("POST", "auth/kubernetes/login", Class::Dns);
    assert_eq!(dns.to_string(), "POST auth/kubernetes/login: the name does not resolve");
}
