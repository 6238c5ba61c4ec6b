//! The witness over HTTP: `POST /add-checkpoint`, and `GET /<origin hash>/checkpoint` for monitors.
//!
//! Owns statuses, limits and the shutdown. Must not know what is cosigned.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::decide::Refusal;
use super::request::MAX_BODY;
use super::{Witness, WitnessError};
use crate::progress::say;

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(20);

/// Requests that are answered at the same time; others wait.
const AT_ONCE: usize = 64;

#[derive(Debug, Clone)]
struct Shared {
    witness: Arc<Witness>,
    clock: fn() -> u64,
    places: Arc<tokio::sync::Semaphore>,
}

/// Every route of a witness.
pub fn router(witness: Arc<Witness>, clock: fn() -> u64) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .with_state(Shared {
            witness,
            clock,
            places: Arc::new(tokio::sync::Semaphore::new(AT_ONCE)),
        })
}

/// Answers until the process is asked to stop (SIGTERM, Ctrl-C); what is in flight is finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn add_checkpoint(State(shared): State<Shared>, body: Body) -> Response {
    let Ok(_place) = shared.places.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let body = match tokio::time::timeout(BODY_LIMIT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::BAD_REQUEST, "the body is too long or was cut off\n").into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let (witness, now) = (Arc::clone(&shared.witness), (shared.clock)());
    // The head is synced to the disk before it is answered.
    let answered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, now)).await;
    match answered {
        Ok(Ok(line)) => (StatusCode::OK, line).into_response(),
        Ok(Err(WitnessError::Refused(refusal))) => refused(&refusal),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

async fn checkpoint(State(shared): State<Shared>, Path(origin_hash): Path<String>) -> Response {
    let latest = tokio::task::spawn_blocking(move || shared.witness.latest(&origin_hash)).await;
    match latest {
        Ok(Ok(Some(head))) => {
            let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
            ([kind], head.as_bytes().to_vec()).into_response()
        }
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::NotSigned => StatusCode::FORBIDDEN,
        Refusal::NotConsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Conflict { known } => {
            let kind = (header::CONTENT_TYPE, "text/x.tlog.size");
            return (StatusCode::CONFLICT, [kind], format!("{known}\n")).into_response();
        }
    };
    (status, format!("{refusal}\n")).into_response()
}

/// What failed goes to the witness's own log, not to strangers.
fn failed(error: &dyn std::error::Error) -> Response {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    say(&format!("error: {}", causes.join(": ")));
    (StatusCode::INTERNAL_SERVER_ERROR, "the witness failed\n").into_response()
}
