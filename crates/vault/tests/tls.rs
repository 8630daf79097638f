//! Handshakes that fail, each told by its kind, and those that must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod stub;

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sidekey_core::Sensitive;
use sidekey_core::contract::Server;
use sidekey_fakevault::{Certificate, FakeVault, Options};
use sidekey_vault::{Class, Client, Extras, TlsFault, VaultError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

async fn fake(certificate: Certificate) -> FakeVault {
    FakeVault::start(Options { certificate, ..Options::default() }).await.unwrap()
}

fn server(fake: &FakeVault) -> Server {
    Server { address: fake.address(), ca_pem: Some(fake.ca_pem().to_owned()), timeout_seconds: 5, ..Server::default() }
}

async fn ask(server: &Server) -> Result<(), VaultError> {
    Client::new(server)?.health().await.map(drop)
}

async fn fault(server: &Server) -> TlsFault {
    match ask(server).await.unwrap_err().class {
        Class::Tls(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tells_bad_certificates_apart() {
    let good = fake(Certificate::Good).await;
    ask(&server(&good)).await.unwrap();
    let stranger = fake(Certificate::Good).await;
    let foreign = Server { ca_pem: Some(stranger.ca_pem().to_owned()), ..server(&good) };
    assert_eq!(fault(&foreign).await, TlsFault::UnknownIssuer);
    let public = Server { ca_pem: None, ..server(&good) };
    assert_eq!(fault(&public).await, TlsFault::UnknownIssuer, "the bundled public roots");
    ask(&Server { skip_verify: true, ..public }).await.unwrap();

    let expired = fake(Certificate::Expired).await;
    assert_eq!(fault(&server(&expired)).await, TlsFault::Expired);

    let plain = FakeVault::start(Options { tls: false, ..Options::default() }).await.unwrap();
    let https = Server { address: plain.address().replace("http:", "https:"), ..server(&good) };
    assert_eq!(fault(&https).await, TlsFault::PlainHttp);
}

#[tokio::test]
async fn checks_the_name_it_is_told_to() {
    let wrong = fake(Certificate::WrongName).await;
    assert_eq!(fault(&server(&wrong)).await, TlsFault::Name);
    ask(&Server { server_name: Some("vault.example".to_owned()), ..server(&wrong) }).await.unwrap();
    let good = fake(Certificate::Good).await;
    for (name, right) in [("127.0.0.1", true), ("localhost", true), ("127.0.0.2", false), ("other.example", false)] {
        let told = Server { server_name: Some(name.to_owned()), ..server(&good) };
        assert_eq!(ask(&told).await.is_ok(), right, "{name}");
    }
}

#[tokio::test]
async fn reads_the_ca_from_text_file_and_directory() {
    let (good, stranger) = (fake(Certificate::Good).await, fake(Certificate::Good).await);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, good.ca_pem()).unwrap();
    std::fs::write(dir.path().join("README"), "not PEM").unwrap();
    let base = Server { ca_pem: None, ..server(&good) };
    ask(&Server { ca_file: Some(file.display().to_string()), ..base.clone() }).await.unwrap();
    ask(&Server { ca_dir: Some(dir.path().display().to_string()), ..base.clone() }).await.unwrap();
    // A second one beside it, as while a CA is rotated.
    let both = format!("{}{}", stranger.ca_pem(), good.ca_pem());
    ask(&Server { ca_pem: Some(both), ..base.clone() }).await.unwrap();
    std::fs::write(&file, "no certificate").unwrap();
    let error = ask(&Server { ca_dir: Some(dir.path().display().to_string()), ..base }).await.unwrap_err();
    assert_eq!(error.class, Class::Files);
}

struct Made {
    der: CertificateDer<'static>,
    pem: String,
    params: CertificateParams,
    key: KeyPair,
}

fn made(is_ca: IsCa, issuer: Option<&Made>) -> Made {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Made { der: certificate.der().clone(), pem: certificate.pem(), params, key }
}

/// A server that answers like a healthy Vault, and with `clients` wants a certificate of that CA.
async fn serve(own: &Made, clients: Option<&Made>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![own.der.clone()], key).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let script = Arc::new(|_: usize, _: &stub::Seen| (stub::json(200, r#"{"initialized":true}"#), false));
                stub::serve(stream, 0, script, Arc::new(Mutex::new(Vec::new()))).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn believes_a_home_made_server_whose_own_certificate_is_configured() {
    let issuer = made(IsCa::Ca(BasicConstraints::Unconstrained), None);
    for own in
        [made(IsCa::Ca(BasicConstraints::Unconstrained), None), made(IsCa::NoCa, None), made(IsCa::NoCa, Some(&issuer))]
    {
        let address = serve(&own, None).await;
        ask(&Server { address: address.clone(), ca_pem: Some(own.pem.clone()), ..Server::default() }).await.unwrap();
        let other = made(IsCa::NoCa, None);
        assert!(ask(&Server { address, ca_pem: Some(other.pem), ..Server::default() }).await.is_err());
    }
}

#[tokio::test]
async fn shows_its_client_certificate_and_says_when_one_is_wanted() {
    let (own, ca) = (made(IsCa::NoCa, None), made(IsCa::Ca(BasicConstraints::Unconstrained), None));
    let address = serve(&own, Some(&ca)).await;
    let base = Server { address, ca_pem: Some(own.pem.clone()), timeout_seconds: 5, ..Server::default() };
    assert_eq!(fault(&base).await, TlsFault::ClientCertificate);

    let mine = made(IsCa::NoCa, Some(&ca));
    let file = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let (cert, key) = (file(&mine.pem), file(&mine.key.serialize_pem()));
    let path = |file: &tempfile::NamedTempFile| Some(file.path().display().to_string());
    let shown = Server { client_cert_file: path(&cert), client_key_file: path(&key), ..base.clone() };
    ask(&shown).await.unwrap();
    let given = async |pem: &str| {
        let extras = Extras { identity: Some(Sensitive::from(pem)), ..Extras::default() };
        Client::with(&base, &extras)?.health().await.map(drop)
    };
    given(&format!("{}\n{}", mine.pem, mine.key.serialize_pem())).await.unwrap();
    assert_eq!(given(&mine.pem).await.unwrap_err().class, Class::Files, "there is no key");
    let half = Server { client_cert_file: path(&cert), ..base };
    assert_eq!(ask(&half).await.unwrap_err().class, Class::Files);
}

/// A proxy that speaks TLS itself, and leads every tunnel to `target`.
async fn proxy(own: &Made, target: std::net::SocketAddr) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![own.der.clone()], key).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"CONNECT vault.example:8200 HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut onward = tokio::net::TcpStream::connect(target).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut onward).await });
        }
    });
    address
}

#[tokio::test]
async fn speaks_tls_to_a_proxy_and_through_it() {
    let vault = fake(Certificate::Good).await;
    let own = made(IsCa::NoCa, None);
    let url = proxy(&own, vault.socket()).await;
    let both = Server {
        address: "https://vault.example:8200".to_owned(),
        ca_pem: Some(format!("{}{}", vault.ca_pem(), own.pem)),
        server_name: Some("localhost".to_owned()),
        proxy: Some(url.clone()),
        ..server(&vault)
    };
    ask(&both).await.unwrap();
    let only_vault = Server { ca_pem: Some(vault.ca_pem().to_owned()), ..both.clone() };
    let error = ask(&only_vault).await.unwrap_err();
    assert_eq!(error.class, Class::Tls(TlsFault::UnknownIssuer));
    assert!(error.to_string().contains(&format!("the proxy {url}")), "{error}");
    let plain = FakeVault::start(Options { tls: false, ..Options::default() }).await.unwrap();
    let url = proxy(&own, plain.socket()).await;
    let address = "http://vault.example:8200".to_owned();
    ask(&Server { address, proxy: Some(url), ..both }).await.unwrap();
}
