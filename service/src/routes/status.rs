//! What people and monitors ask: the index page, health, metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::app::App;
use crate::error::Problem;
use crate::{pages, tuf};

/// The index page.
pub async fn index(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let page = tokio::task::spawn_blocking(move || pages::index(&app))
        .await
        .map_err(|error| Problem::internal(&error))?;
    let mut response = Html(page.map_err(|error| Problem::internal(&error))?).into_response();
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=10"));
    Ok(response)
}

/// Whether the service answers.
pub async fn healthz() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n")
}

/// The counters, for Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let store = Arc::clone(&app);
    let tuf = tokio::task::spawn_blocking(move || tuf::expiries(store.store())).await;
    let logs = app.logs().map(|log| {
        (
            log.name.operator.to_string(),
            log.name.epoch,
            log.state().tree.size().value(),
        )
    });
    let text = app.metrics.render(logs, &tuf.unwrap_or_default());
    (
        [
            (header::CONTENT_TYPE, "text/plain; version=0.0.4"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
        .into_response()
}
