//! The router in process: what it answers, and what it does not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sidekey_webhook::app::{LEAST_WEIGHT, Limits, router};
use support::{admission, metrics, patch, pod, review};
use tower::ServiceExt;

fn app(limits: Limits) -> Router {
    router(admission("vaultAddress: https://vault.test:8200"), metrics(), limits)
}

async fn send(app: Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/mutate").header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

async fn answered(review: &Value) -> Value {
    let (status, answer) = send(app(Limits::default()), post(review.to_string())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test]
async fn patches_a_pod_that_asks() {
    let answer = answered(&review(&pod())).await;
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!((&answer["response"]["allowed"], &answer["response"]["patchType"]), (&json!(true), &json!("JSONPatch")));
    let patch = patch(&answer).unwrap().to_string();
    assert!(patch.contains("SIDEKEY_CONFIG") && patch.contains("https://vault.test:8200"), "{patch}");
}

#[tokio::test]
async fn lets_a_pod_that_does_not_ask_in_as_it_is() {
    let mut pod = pod();
    pod["metadata"].as_object_mut().unwrap().remove("annotations");
    let answer = answered(&review(&pod)).await;
    assert_eq!(answer["response"], json!({"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": true}));
}

#[tokio::test]
async fn denies_with_http_200_a_code_and_the_cause() {
    let mut pod = pod();
    pod["metadata"]["annotations"]["sidekey.dev/inject"] = json!("yes please");
    let answer = answered(&review(&pod)).await;
    assert_eq!((&answer["response"]["allowed"], &answer["response"]["status"]["code"]), (&json!(false), &json!(403)));
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("SK1") && message.contains("sidekey.dev/inject"), "{message}");
    assert!(answer["response"].get("patch").is_none());
}

#[tokio::test]
async fn echoes_v1beta1() {
    let mut review = review(&pod());
    review["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let answer = answered(&review).await;
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1beta1");
    assert!(patch(&answer).is_some());
}

#[tokio::test]
async fn the_same_review_gets_the_same_bytes() {
    let app = app(Limits::default());
    let bytes = async || {
        let response = app.clone().oneshot(post(review(&pod()).to_string())).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    };
    assert_eq!(bytes().await, bytes().await);
}

#[tokio::test]
async fn lets_everything_but_the_creation_of_a_pod_pass() {
    type Change = fn(&mut Value);
    let changes: [Change; 4] = [
        |request| request["operation"] = json!("UPDATE"),
        |request| (request["operation"], request["object"]) = (json!("DELETE"), json!(null)),
        |request| request["kind"]["kind"] = json!("ConfigMap"),
        |request| request["subResource"] = json!("ephemeralcontainers"),
    ];
    for change in changes {
        let mut review = review(&pod());
        change(&mut review["request"]);
        let answer = answered(&review).await;
        assert_eq!(answer["response"]["allowed"], true);
        assert!(patch(&answer).is_none(), "{review}");
    }
}

#[tokio::test]
async fn refuses_what_is_no_review_with_a_status_that_says_why() {
    let deep = format!("{}{}", "[".repeat(40_000), "]".repeat(40_000));
    let deep_pod = review(&pod()).to_string().replace(r#""object":{"#, &format!(r#""object":{{"x":{deep},"#));
    let twice = review(&pod()).to_string().replace(r#""uid":"#, r#""uid":"a","uid":"#);
    let mut other = review(&pod());
    other["kind"] = json!("PodList");
    let no_request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}).to_string();
    let bodies =
        ["", "null", "[]", "{", "\u{0}", "not json", &deep, &deep_pod, &twice, &other.to_string(), &no_request];
    for body in bodies {
        let (status, said) = send(app(Limits::default()), post(body.to_owned())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{}", &body[..body.len().min(80)]);
        assert_eq!((&said["kind"], &said["code"]), (&json!("Status"), &json!(400)));
        assert!(said["message"].as_str().unwrap().starts_with("SK1009 "), "{said}");
    }
}

/// Each value costs hundreds of bytes once it is parsed: of these the webhook would need more memory than it is given.
#[tokio::test]
async fn denies_a_pod_of_more_values_than_any_has_without_parsing_it() {
    let mut review = review(&pod());
    review["request"]["object"]["spec"]["volumes"] = json!(vec![json!({}); 60_000]);
    let answer = answered(&review).await;
    assert_eq!(answer["response"]["allowed"], false);
    let said = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(said.starts_with("SK1009 reading the pod: it has 1") && said.contains("50000 at most"), "{said}");
}

#[tokio::test]
async fn refuses_other_methods_types_and_paths() {
    let app = app(Limits::default());
    let body = || Body::from(review(&pod()).to_string());
    let get = Request::get("/mutate").body(Body::empty()).unwrap();
    assert_eq!(send(app.clone(), get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let other = Request::post("/").header(CONTENT_TYPE, "application/json").body(body()).unwrap();
    assert_eq!(send(app.clone(), other).await.0, StatusCode::NOT_FOUND);
    let text = Request::post("/mutate").header(CONTENT_TYPE, "text/plain").body(body()).unwrap();
    assert_eq!(send(app.clone(), text).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let charset =
        Request::post("/mutate").header(CONTENT_TYPE, "application/json; charset=utf-8").body(body()).unwrap();
    assert_eq!(send(app, charset).await.0, StatusCode::OK);
}

#[tokio::test]
async fn takes_the_longest_object_and_refuses_longer_ones_announced_or_not() {
    let mut large = pod();
    large["spec"]["containers"][0]["args"] = json!(["x".repeat(3 * 1024 * 1024)]);
    assert_eq!(answered(&review(&large)).await["response"]["allowed"], true);

    let limits = Limits { body: 1000, ..Limits::default() };
    let (status, said) = send(app(limits), post(vec![b' '; 1001])).await;
    assert_eq!((status, &said["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!(413)));
    let chunks = futures::stream::repeat(Ok::<_, Infallible>(Bytes::from_static(&[b' '; 100]))).take(20);
    let (status, _) = send(app(limits), post(Body::from_stream(chunks))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_a_body_that_does_not_come() {
    let stuck = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    let (status, said) = send(app(Limits::default()), post(stuck)).await;
    assert_eq!((status, &said["reason"]), (StatusCode::REQUEST_TIMEOUT, &json!("Timeout")));
}

#[tokio::test(start_paused = true)]
async fn answers_at_once_when_too_many_bodies_are_held() {
    let limits = Limits { body: LEAST_WEIGHT, bodies: 4 * LEAST_WEIGHT, deadline: Duration::from_secs(4) };
    let app = app(limits);
    let stuck = || Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    let held: Vec<_> = (0..4).map(|_| tokio::spawn(send(app.clone(), post(stuck())))).collect();
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    let (status, said) = send(app.clone(), post(review(&pod()).to_string())).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said["message"].as_str().unwrap().starts_with("SK1011 "), "{said}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for held in held {
        assert_eq!(held.await.unwrap().0, StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(send(app, post(review(&pod()).to_string())).await.0, StatusCode::OK, "room is given back");
}
