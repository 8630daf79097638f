//! URLs taken apart and put together, as Go's `net/url` does. What is kept is decoded, what is written is encoded.

use std::collections::BTreeMap;

use super::{Out, map, text};
use crate::failure::Failure;
use crate::map::Map;
use crate::value::Val;

/// Characters besides letters, digits and `-_.~` that a part may hold as they are.
const PATH: &str = "$&+,/:;=@";
const USER: &str = "$&+,;=";
const HOST: &str = "!$&'()*+,;=:[]<>\"";
const FRAGMENT: &str = "$&+,/:;=?@!()*";

/// `urlParse TEXT`: a map of scheme, host, hostname, path, query, opaque, fragment, userinfo.
pub(crate) fn parse(args: &[Val]) -> Out {
    let (whole, fragment) = text(args, 0)?.split_once('#').unwrap_or((text(args, 0)?, ""));
    if whole.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(wrong("a control character"));
    }
    let (scheme, rest) = scheme(whole)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = BTreeMap::from([("scheme", scheme.to_ascii_lowercase()), ("query", query.to_owned())]);
    parts.insert("fragment", decoded(fragment)?);
    if !rest.starts_with('/') && !scheme.is_empty() {
        parts.insert("opaque", rest.to_owned());
        return Ok(answer(parts));
    }
    if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
        return Err(wrong("a colon in the first part of its path"));
    }
    let authority = rest.strip_prefix("//").filter(|_| !scheme.is_empty() || !rest.starts_with("///"));
    let (authority, path) = match authority {
        Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
        None => ("", rest),
    };
    parts.insert("path", decoded(path)?);
    insert_authority(authority, &mut parts)?;
    Ok(answer(parts))
}

fn insert_authority(authority: &str, parts: &mut BTreeMap<&str, String>) -> Result<(), Failure> {
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    parts.insert("userinfo", user.map_or_else(|| Ok(String::new()), userinfo)?);
    let letter = |at: usize| !host[at..].starts_with("%25") && host[at + 1..].starts_with(|c| matches!(c, '0'..='7'));
    if host.match_indices('%').any(|(at, _)| letter(at)) {
        return Err(wrong("an encoded letter in its host"));
    }
    parts.insert("hostname", decoded(hostname(host)?)?);
    parts.insert("host", decoded(host)?);
    Ok(())
}

fn answer(mut parts: BTreeMap<&str, String>) -> Val {
    let names = ["scheme", "host", "hostname", "path", "query", "opaque", "fragment", "userinfo"];
    Val::map(names.map(|name| (name.to_owned(), Val::str(parts.remove(name).unwrap_or_default()))).into())
}

fn wrong(what: &str) -> Failure {
    Failure::new(format!("the text is no URL: {what}"))
}

fn scheme(whole: &str) -> Result<(&str, &str), Failure> {
    let end = whole.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    match end.filter(|end| whole[*end..].starts_with(':')) {
        Some(0) => Err(wrong("its scheme is missing")),
        Some(end) if whole.starts_with(|c: char| c.is_ascii_alphabetic()) => Ok((&whole[..end], &whole[end + 1..])),
        _ => Ok(("", whole)),
    }
}

/// Without brackets and port, which must be digits.
fn hostname(host: &str) -> Result<&str, Failure> {
    let (name, port) = if host.starts_with('[') {
        let end = host.rfind(']').ok_or_else(|| wrong("a bracket is missing in its host"))?;
        (&host[1..end], &host[end + 1..])
    } else {
        host.find(':').map_or((host, ""), |colon| host.split_at(colon))
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if digits.len() + 1 < port.len() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("its port is not a number"));
    }
    if name.contains([' ', '\\', '^', '`', '{', '|', '}']) {
        return Err(wrong("a character that no host has"));
    }
    Ok(name)
}

/// Decoded and encoded again: the same user and password in Go's spelling.
fn userinfo(text: &str) -> Result<String, Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !text.chars().all(allowed) {
        return Err(wrong("a character that no user or password has unencoded"));
    }
    match text.split_once(':') {
        Some((user, password)) => {
            Ok(format!("{}:{}", encoded(&decoded(user)?, USER), encoded(&decoded(password)?, USER)))
        }
        None => Ok(encoded(&decoded(text)?, USER)),
    }
}

fn decoded(text: &str) -> Result<String, Failure> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let pair = pair.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        out.push(
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(|| wrong("a % without two digits"))?,
        );
        rest = &after[2..];
    }
    String::from_utf8(out).map_err(|_| wrong("encoded bytes that are not UTF-8"))
}

pub(super) fn encoded(text: &str, allowed: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-_.~".contains(c) || allowed.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `urlJoin MAP`: the URL of what `urlParse` answers.
pub(crate) fn join(args: &[Val]) -> Out {
    let parts = map(args, 0)?;
    let [scheme, host, path, query] = ["scheme", "host", "path", "query"].map(|name| part(parts, name));
    let [opaque, fragment, user] = ["opaque", "fragment", "userinfo"].map(|name| part(parts, name));
    let (scheme, host, path, user) = (scheme?, host?, path?, user?);
    let mut out = if scheme.is_empty() { String::new() } else { format!("{scheme}:") };
    let opaque = opaque?;
    if opaque.is_empty() {
        push_hierarchy(&mut out, &host, &path, &user)?;
    } else {
        out.push_str(&opaque);
    }
    for (mark, text) in [('?', query?), ('#', encoded(&fragment?, FRAGMENT))] {
        if !text.is_empty() {
            out.push(mark);
            out.push_str(&text);
        }
    }
    Ok(Val::str(out))
}

/// `//user@host/path`.
fn push_hierarchy(out: &mut String, host: &str, path: &str, user: &str) -> Result<(), Failure> {
    let placed = !(host.is_empty() && user.is_empty());
    if placed || !(out.is_empty() || path.is_empty()) {
        out.push_str("//");
        if !user.is_empty() {
            out.push_str(&userinfo(user)?);
            out.push('@');
        }
        out.push_str(&encoded(host, HOST));
    }
    let path = if path == "*" { path.to_owned() } else { encoded(path, PATH) };
    if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
        out.push('/');
    }
    if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
        out.push_str("./");
    }
    out.push_str(&path);
    Ok(())
}

fn part(parts: &Map, name: &str) -> Result<String, Failure> {
    match parts.get(name) {
        None => Ok(String::new()),
        Some(value) => match value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()) {
            Some(text) => Ok(text),
            None => Err(Failure::new(format!("part `{name}` of the URL is {}, not a string", value.kind()))),
        },
    }
}
