//! The webhook's HTTP: `POST /mutate`, with a bound on everything a caller can make grow.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt, LengthLimitError};
use sidekey_core::{Cause, Code};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::admit::{Admission, Answer, Refusal};
use crate::metrics::{Counted, Metrics};
use crate::review::Status;
use crate::server::Crowded;

/// What a caller can make grow, and how far.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body in bytes. An API server takes objects up to 3 MiB; the review adds user and options.
    pub body: usize,
    /// Bytes of all bodies held at once. A review counts as [`LEAST_WEIGHT`] at least, so this bounds their number too.
    pub bodies: usize,
    /// Longest time from a request's head to its whole body.
    pub deadline: Duration,
}

/// Longest wait for the body of a review that is turned away.
const SKIM: Duration = Duration::from_millis(500);

/// What a small body counts as.
pub const LEAST_WEIGHT: usize = 32 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4 * 1024 * 1024, bodies: 32 * 1024 * 1024, deadline: Duration::from_secs(4) }
    }
}

struct Gate {
    admission: Arc<Admission>,
    metrics: Metrics,
    limits: Limits,
    /// One permit is 1 KiB.
    room: Semaphore,
}

/// The router to give to [`crate::server::serve`].
pub fn router(admission: Arc<Admission>, metrics: Metrics, limits: Limits) -> Router {
    let room = Semaphore::new(limits.bodies.max(limits.body) / 1024);
    Router::new().route("/mutate", post(mutate)).with_state(Arc::new(Gate { admission, metrics, limits, room }))
}

async fn mutate(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let _counted = Counted::on(&gate.metrics.in_flight);
    match gate.admit(request).await {
        Ok(Answer(bytes)) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

impl Gate {
    async fn admit(&self, request: Request) -> Result<Answer, Refusal> {
        let (parts, mut body) = request.into_parts();
        let turn_away = |refusal: Refusal| {
            self.admission.turned_away(&refusal);
            refusal
        };
        if parts.extensions.get::<Crowded>().is_some() {
            self.skim(&mut body).await;
            return Err(turn_away(overloaded("too many connections are open")));
        }
        let weight = self.weigh(&parts.headers).map_err(turn_away)?;
        // Beyond the bound the answer comes at once: the API server's failure policy decides, not its timeout.
        let _room = self
            .room
            .try_acquire_many(weight)
            .map_err(|_| turn_away(overloaded("too many reviews are being answered")))?;
        let bytes = self.read(body).await.map_err(turn_away)?;
        self.admission.answer(&bytes)
    }

    /// Permits for the body announced; the longest one when none is.
    fn weigh(&self, headers: &HeaderMap) -> Result<u32, Refusal> {
        let json = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
        if !json {
            return Err(Refusal {
                status: 415,
                reason: "UnsupportedMediaType",
                ..Refusal::malformed("it is not application/json")
            });
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let length = announced.unwrap_or(self.limits.body);
        if length > self.limits.body {
            return Err(self.too_long());
        }
        u32::try_from(length.max(LEAST_WEIGHT).div_ceil(1024)).map_err(|_| self.too_long())
    }

    /// Reads what is on its way and keeps none of it: a connection that is closed on unread bytes is reset, and the answer
    /// may be lost with it.
    async fn skim(&self, body: &mut Body) {
        let all = async {
            let mut length = 0;
            while let Some(Ok(frame)) = body.frame().await {
                length += frame.data_ref().map_or(0, Bytes::len);
                if length > self.limits.body {
                    break;
                }
            }
        };
        // Whoever is slower gets the answer before it has said all.
        let _ = timeout(SKIM, all).await;
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        match timeout(self.limits.deadline, to_bytes(body, self.limits.body)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_too_long(&error) => Err(self.too_long()),
            Ok(Err(_)) => Err(Refusal::malformed("the body ended early")),
            Err(_) => Err(Refusal { status: 408, reason: "Timeout", ..Refusal::malformed("the body came too slowly") }),
        }
    }

    fn too_long(&self) -> Refusal {
        let answer = format!("it is longer than {} bytes", self.limits.body);
        Refusal { status: 413, reason: "RequestEntityTooLarge", ..Refusal::malformed(answer) }
    }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn overloaded(answer: &str) -> Refusal {
    let cause = Cause::new(Code::Overloaded, "admitting a pod", answer);
    Refusal { status: 503, reason: "ServiceUnavailable", cause }
}

/// A `Status` object: an API server quotes its message to whoever creates the pod.
fn refused(refusal: &Refusal) -> Response {
    tracing::warn!(status = refusal.status, cause = %refusal.cause, "review not answered");
    let status = Status::failure(refusal.status, refusal.reason, refusal.cause.to_string());
    let code = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, axum::Json(status)).into_response()
}
