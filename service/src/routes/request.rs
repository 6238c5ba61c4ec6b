//! `POST /v1/request`: "please build these".
//!
//! A request that obeys the rules is kept under the digest of its bytes, so that asking twice asks once.
//! Must not know what is built or when.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use sealift_policy::digest::Digest;
use sealift_policy::request::{MAX_REQUEST, Request};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Problem, chain};

/// The longest request.
pub const MAX_BODY: usize = MAX_REQUEST;

/// Most requests that wait for somebody to fetch them.
const MAX_WAITING: usize = 10_000;

/// Most bytes of them together.
const MAX_WAITING_BYTES: u64 = 1 << 30;

/// Keeps a request.
pub async fn request(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), "body", error.body_text()))?;
    let kept = tokio::task::spawn_blocking(move || {
        let request = Request::parse(&body)
            .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", chain(&error)))?;
        // One spelling, so that equal requests are one.
        let text = request.to_json();
        let name = Digest::of(text.as_bytes());
        let (count, bytes) = app.store().requests().map_err(|error| Problem::internal(&error))?;
        if count >= MAX_WAITING || bytes >= MAX_WAITING_BYTES {
            return Err(Problem::busy());
        }
        app.store()
            .keep_request(name, text.as_bytes())
            .map_err(|error| Problem::internal(&error))?;
        app.metrics.requests_stored.increment();
        Ok(name)
    });
    let name = kept.await.map_err(|error| Problem::internal(&error))??;
    Ok((StatusCode::ACCEPTED, Json(json!({ "version": 1, "request": name }))))
}
