//! `POST /v1/lookup`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sealift_policy::wire::LookupRequest;

use crate::app::App;
use crate::error::{Problem, chain};
use crate::lookup::{self, LookupError};

/// Answers a batch of plans and keys.
pub async fn lookup(State(app): State<Arc<App>>, body: Result<Bytes, BytesRejection>) -> Result<Response, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), "body", error.body_text()))?;
    let request: LookupRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed-lookup", error.to_string()))?;
    drop(body);
    let place = Arc::clone(&app.lookups)
        .acquire_owned()
        .await
        .map_err(|error| Problem::internal(&error))?;
    let answered = tokio::task::spawn_blocking(move || {
        let _place = place;
        let answer = lookup::answer(&app, &request)?;
        app.metrics.lookups.increment();
        app.metrics.lookup_units.add(answer.units.len() as u64);
        Ok(serde_json::to_vec(&answer).expect("answers have string keys only"))
    });
    let answer = answered.await.map_err(|error| Problem::internal(&error))?;
    let answer = answer.map_err(|error: LookupError| match error {
        LookupError::Version(_) => Problem::new(StatusCode::BAD_REQUEST, "version", chain(&error)),
        LookupError::TooMany => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-ids", chain(&error)),
        LookupError::Catalogue(_) | LookupError::Store(_) => Problem::internal(&error),
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((headers, answer).into_response())
}
