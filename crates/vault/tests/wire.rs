//! What goes over the wire, byte by byte: headers, connections, redirects, the proxy, bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod stub;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sidekey_core::contract::Server;
use sidekey_core::lookup::Verb;
use sidekey_core::{Lookup, Sensitive};
use sidekey_vault::{Class, Client, Extras, Guard, Mounts, VaultError};
use stub::{Stub, json, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECRET: &str = r#"{"data":{"a":"b"}}"#;

fn client(server: &Server) -> Client {
    Client::new(server).unwrap()
}

fn plain(stub: &Stub) -> Server {
    Server { address: stub.address(), timeout_seconds: 5, ..Server::default() }
}

async fn read(client: &Client, path: &str) -> Result<(), VaultError> {
    client.fetch(&Sensitive::from("hvs.mine"), &Lookup::read(path), &Mounts::default()).await.map(drop)
}

#[tokio::test]
async fn sends_prefix_namespace_and_token_and_keeps_one_connection() {
    let stub = start(|_, _| (json(200, SECRET), false)).await;
    let address = format!("{}/team/vault/", stub.address());
    let client = client(&Server { address, namespace: Some("team/a".to_owned()), ..plain(&stub) });
    for _ in 0..3 {
        read(&client, "secret/data/a b?version=2").await.unwrap();
    }
    let seen = stub.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.connection == 0), "one connection");
    assert_eq!(seen[0].line, "GET /team/vault/v1/secret/data/a%20b?version=2 HTTP/1.1");
    assert_eq!(seen[0].header("x-vault-token"), Some("hvs.mine"));
    assert_eq!(seen[0].header("x-vault-namespace"), Some("team/a"));
    assert_eq!(seen[0].header("x-vault-request"), Some("true"));
    assert_eq!(seen[0].header("host"), Some(format!("127.0.0.1:{}", stub.port).as_str()));
}

#[tokio::test]
async fn sends_a_read_again_when_an_old_connection_breaks_but_never_a_write() {
    // The first answer keeps the connection; what is asked over it next gets none.
    for (verb, want) in [(Verb::Read, 3), (Verb::Write, 2)] {
        let stub =
            start(|number, _| if number == 1 { (String::new(), true) } else { (json(200, SECRET), false) }).await;
        let client = client(&plain(&stub));
        read(&client, "secret/data/a").await.unwrap();
        let params = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let lookup = Lookup::new(verb, "pki/issue/web", if verb == Verb::Write { params } else { BTreeMap::new() });
        let second = client.fetch(&Sensitive::from("t"), &lookup, &Mounts::default()).await;
        assert_eq!((second.is_ok(), stub.seen().len()), (verb == Verb::Read, want), "{verb:?}");
        if let Err(error) = second {
            assert_eq!(error.class, Class::Tcp);
        }
    }
}

#[tokio::test]
async fn connects_anew_when_the_server_closed_an_idle_connection() {
    let stub = start(|_, _| (json(200, SECRET), true)).await;
    let client = client(&plain(&stub));
    for _ in 0..3 {
        client.renew_lease(&Sensitive::from("t"), "l", None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stub.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn a_connection_made_ahead_carries_the_next_question() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = client(&Server { address, timeout_seconds: 5, ..Server::default() });
    client.warm();
    let made = tokio::time::timeout(Duration::from_secs(5), listener.accept()).await;
    let mut stream = made.expect("before anything is asked").unwrap().0;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = async {
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(json(200, SECRET).as_bytes()).await.unwrap();
    };
    // A second connection would wait for its answer for ever.
    tokio::join!(answer, async { read(&client, "secret/data/a").await.unwrap() });
}

#[tokio::test]
async fn closes_a_connection_that_nobody_needs() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let client = client(&Server { address, timeout_seconds: 5, ..Server::default() });
    let served = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(json(200, SECRET).as_bytes()).await.unwrap();
        let answered = Instant::now();
        assert_eq!(stream.read(&mut head).await.unwrap(), 0, "it is closed, and nothing else is asked");
        answered.elapsed()
    });
    read(&client, "secret/data/a").await.unwrap();
    let idle = tokio::time::timeout(Duration::from_secs(30), served).await.unwrap().unwrap();
    assert!(idle > Duration::from_secs(2), "a burst of questions uses it again: {idle:?}");
}

#[tokio::test]
async fn follows_a_standby_to_the_active_node_but_not_in_circles() {
    let active = start(|_, _| (json(200, SECRET), false)).await;
    let to = active.address();
    let standby = start(move |_, seen| {
        let path = seen.line.split(' ').nth(1).unwrap();
        (format!("HTTP/1.1 307 X\r\nLocation: {to}{path}\r\nContent-Length: 0\r\n\r\n"), false)
    })
    .await;
    read(&client(&plain(&standby)), "secret/data/web?version=2").await.unwrap();
    assert_eq!(active.seen()[0].line, "GET /v1/secret/data/web?version=2 HTTP/1.1");
    assert_eq!(active.seen()[0].header("x-vault-token"), Some("hvs.mine"));

    let circle = start(|_, seen| {
        let (host, path) = (seen.header("host").unwrap(), seen.line.split(' ').nth(1).unwrap());
        (format!("HTTP/1.1 307 X\r\nLocation: http://{host}{path}\r\nContent-Length: 0\r\n\r\n"), false)
    })
    .await;
    assert_eq!(read(&client(&plain(&circle)), "secret/data/web").await.unwrap_err().class, Class::Standby);
    assert_eq!(circle.seen().len(), 3, "two hops at most");
}

fn guarded(server: &Server, guard: Guard) -> Client {
    Client::with(server, &Extras { guard, ..Extras::default() }).unwrap()
}

#[tokio::test]
async fn opens_no_socket_to_what_a_name_resolves_to_anew() {
    // Each connection is one request's: the name is resolved again for the second one.
    let stub = start(|_, _| (json(200, SECRET), true)).await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let guard = Guard::new(move |host, address| {
        let mut heard = heard.lock().unwrap();
        heard.push(address.map_or_else(|| host.to_owned(), |address| format!("{host} is {address}")));
        let again = heard.iter().filter(|words| words.contains(" is ")).count() > 1;
        if again { Err(format!("{host} resolves to another address now")) } else { Ok(()) }
    });
    let client = guarded(&plain(&stub), guard);
    read(&client, "secret/data/web").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = read(&client, "secret/data/web").await.unwrap_err();
    let words = Some("127.0.0.1 resolves to another address now");
    assert_eq!((error.class, error.detail.as_deref()), (Class::Refused, words));
    assert_eq!(stub.seen().len(), 1, "no socket is opened");
    let once = ["127.0.0.1", "127.0.0.1 is 127.0.0.1"];
    assert_eq!(*asked.lock().unwrap(), [once, once].concat(), "by name, then by address, at each connection");
}

#[tokio::test]
async fn asks_the_guard_of_redirects_and_of_proxies() {
    let active = start(|_, _| (json(200, SECRET), false)).await;
    let to = active.address().replace("127.0.0.1", "localhost");
    let standby = start(move |_, seen| {
        let path = seen.line.split(' ').nth(1).unwrap();
        (format!("HTTP/1.1 307 X\r\nLocation: {to}{path}\r\nContent-Length: 0\r\n\r\n"), false)
    })
    .await;
    let not = |name: &'static str| {
        let refuse = move |host: &str, _| if host == name { Err(format!("{host} is refused")) } else { Ok(()) };
        Guard::new(refuse)
    };
    let error = read(&guarded(&plain(&standby), not("localhost")), "secret/data/web").await.unwrap_err();
    assert_eq!((error.class, error.detail.as_deref()), (Class::Refused, Some("localhost is refused")));
    assert!(active.seen().is_empty(), "the token does not follow the redirect");
    // A proxy resolves the server's name itself, so that is asked for as it is written; the proxy is what is dialled.
    let proxied =
        Server { address: "http://vault.example:8200".to_owned(), proxy: Some(active.address()), ..plain(&active) };
    for refused in ["vault.example", "127.0.0.1"] {
        let error = read(&guarded(&proxied, not(refused)), "secret/data/web").await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{refused}");
    }
    assert!(active.seen().is_empty());
}

#[tokio::test]
async fn takes_the_token_nowhere_else() {
    let elsewhere = start(|_, _| (json(200, SECRET), false)).await;
    let other = elsewhere.address();
    let cases = [
        format!("{other}/login?next=/v1/secret/data/web/x"),
        format!("https://127.0.0.1:{}/v1/secret/data/web", elsewhere.port),
        "/v1/secret/data/web".to_owned(),
        String::new(),
    ];
    for location in cases {
        let head = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let stub = start(move |_, _| (head.clone(), false)).await;
        let error = read(&client(&plain(&stub)), "secret/data/web").await.unwrap_err();
        assert_eq!((error.class, error.status), (Class::Standby, Some(307)), "{location}");
    }
    // 301 and 302 are no part of Vault's protocol.
    let head = format!("HTTP/1.1 302 X\r\nLocation: {other}/v1/secret/data/web\r\nContent-Length: 0\r\n\r\n");
    let stub = start(move |_, _| (head.clone(), false)).await;
    assert_eq!(read(&client(&plain(&stub)), "secret/data/web").await.unwrap_err().class, Class::Protocol);
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn refuses_a_path_that_climbs_before_anything_is_sent() {
    let stub = start(|_, _| (json(200, SECRET), false)).await;
    let error = read(&client(&plain(&stub)), "secret/../sys/seal").await.unwrap_err();
    assert_eq!(error.class, Class::BadRequest);
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn goes_through_a_proxy_by_connect() {
    let vault = start(|_, _| (json(200, SECRET), false)).await;
    // A proxy that answers in Vault's place once the tunnel stands: enough to see both requests.
    let proxy = start(|number, _| {
        let tunnel = "HTTP/1.1 200 Connection established\r\n\r\n".to_owned();
        (if number == 0 { tunnel } else { json(200, SECRET) }, false)
    })
    .await;
    let far = Server { address: "http://vault.example:8200".to_owned(), ..plain(&vault) };
    let url = format!("http://user:pw@127.0.0.1:{}", proxy.port);
    let through = Server { proxy: Some(url.clone()), no_proxy: Some("other.example".to_owned()), ..far.clone() };
    read(&client(&through), "secret/data/web").await.unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].line, "CONNECT vault.example:8200 HTTP/1.1");
    assert!(seen[0].headers.contains(&"Proxy-Authorization: Basic dXNlcjpwdw==".to_owned()));
    assert_eq!(seen[1].line, "GET /v1/secret/data/web HTTP/1.1");
    assert!(vault.seen().is_empty());

    // Loopback needs no proxy, and neither does what NO_PROXY names: that name then has to resolve.
    read(&client(&Server { proxy: Some(url.clone()), ..plain(&vault) }), "secret/data/web").await.unwrap();
    assert_eq!((vault.seen().len(), proxy.seen().len()), (1, 2));
    let direct = Server { proxy: Some(url), no_proxy: Some(".invalid".to_owned()), ..far.clone() };
    let direct = Server { address: "http://no-such-host.invalid:8200".to_owned(), ..direct };
    assert_eq!(read(&client(&direct), "secret/data/web").await.unwrap_err().class, Class::Dns);

    let refusing = start(|_, _| ("HTTP/1.1 407 Login\r\n\r\n".to_owned(), true)).await;
    let url = format!("http://127.0.0.1:{}", refusing.port);
    let error = read(&client(&Server { proxy: Some(url), ..far }), "secret/data/web").await.unwrap_err();
    assert_eq!(error.class, Class::Tcp);
    assert!(error.to_string().contains("answers 407"), "{error}");
}

#[tokio::test]
async fn bounds_size_and_time() {
    let declared = start(|_, _| ("HTTP/1.1 200 X\r\nContent-Length: 5000000\r\n\r\n{".to_owned(), false)).await;
    assert_eq!(read(&client(&plain(&declared)), "a/b").await.unwrap_err().class, Class::Protocol);
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
    let endless = format!("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(5));
    let endless = start(move |_, _| (endless.clone(), false)).await;
    assert_eq!(read(&client(&plain(&endless)), "a/b").await.unwrap_err().class, Class::Protocol);

    let silent = start(|_, _| (String::new(), false)).await;
    let begun = Instant::now();
    let error = read(&client(&Server { timeout_seconds: 1, ..plain(&silent) }), "a/b").await.unwrap_err();
    assert_eq!((error.class, error.to_string().as_str()), (Class::Timeout, "GET a/b: no answer in 1 s"));
    assert!(begun.elapsed() < Duration::from_secs(4));

    let cut = start(|_, _| ("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"da".to_owned(), true)).await;
    assert_eq!(read(&client(&plain(&cut)), "a/b").await.unwrap_err().class, Class::Tcp);
    let babble = start(|_, _| ("SSH-2.0-OpenSSH\r\n".to_owned(), true)).await;
    assert_eq!(read(&client(&plain(&babble)), "a/b").await.unwrap_err().class, Class::Protocol);
}

#[tokio::test]
async fn reads_retry_after_in_seconds_or_as_a_date_and_bounds_it() {
    let cases = [
        ("7", Some(7)),
        ("99999999", Some(3_600)),
        ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
        ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
        ("Thu, 22 Oct 2015 07:28:00 GMT", Some(3_600)),
        ("soon", None),
    ];
    for (text, want) in cases {
        // The answer's own date is what counts: this machine's clock is years ahead of it.
        let date = "Date: Wed, 21 Oct 2015 07:28:00 GMT";
        let head =
            format!("HTTP/1.1 429 X\r\n{date}\r\nRetry-After: {text}\r\nContent-Length: 13\r\n\r\n{{\"errors\":[]}}");
        let stub = start(move |_, _| (head.clone(), true)).await;
        let error = read(&client(&plain(&stub)), "a/b").await.unwrap_err();
        assert_eq!((error.class, error.retry_after), (Class::RateLimited, want.map(Duration::from_secs)), "{text}");
    }
}

#[tokio::test]
async fn tells_dns_and_tcp_apart_and_refuses_what_is_no_address() {
    let server = |address: &str| Server { address: address.to_owned(), timeout_seconds: 5, ..Server::default() };
    let dns = read(&client(&server("http://no-such-host.invalid:8200")), "a/b").await.unwrap_err();
    assert_eq!(dns.class, Class::Dns, "{dns}");
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tcp = read(&client(&server(&format!("http://{free}"))), "a/b").await.unwrap_err();
    assert_eq!(tcp.class, Class::Tcp, "{tcp}");
    assert!(tcp.to_string().contains("connection refused"), "{tcp}");
    for address in ["vault:8200", "unix:///run/vault.sock", ""] {
        assert_eq!(Client::new(&server(address)).err().map(|error| error.class), Some(Class::Address), "{address}");
    }
    let no_ca = Server { ca_file: Some("/nonexistent/ca.pem".to_owned()), ..server("https://h") };
    let error = Client::new(&no_ca).err().unwrap();
    assert_eq!(error.class, Class::Files);
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}
