//! Every route of the service, on one screen.
//!
//! Must not know what a route does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::error::Problem;
use crate::routes::{lookup, objects, request, status, submit};

/// The longest body of a lookup.
const MAX_LOOKUP: usize = 4 << 20;

/// How long a body may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(status::index))
        .route("/healthz", get(status::healthz))
        .route("/metrics", get(status::metrics))
        .route("/v1/log/{operator}/{epoch}/checkpoint", get(objects::checkpoint))
        .route("/v1/log/{operator}/{epoch}/tile/{*tile}", get(objects::tile))
        .route("/v1/proof/{operator}/{epoch}/{file}", get(objects::proof))
        .route("/v1/plan/{toolchain}/{file}", get(objects::plan))
        .route("/v1/unit/{file}", get(objects::unit))
        .route("/v1/provenance/{file}", get(objects::provenance))
        .route("/v1/cas/{sha256}", get(objects::cas))
        .route("/v1/tuf/{*file}", get(objects::tuf))
        .route(
            "/v1/lookup",
            post(lookup::lookup).layer(DefaultBodyLimit::max(MAX_LOOKUP)),
        )
        .route(
            "/v1/request",
            post(request::request).layer(DefaultBodyLimit::max(request::MAX_BODY)),
        )
        // Its parts have limits of their own.
        .route("/v1/submit", post(submit::submit).layer(DefaultBodyLimit::disable()))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this route has other methods")
        })
        .layer(middleware::from_fn(plain_text_is_text))
        .layer(RequestBodyTimeoutLayer::new(SILENCE))
        .layer(TraceLayer::new_for_http())
        .with_state(app)
}

/// No browser may guess that something is a script or a page.
async fn plain_text_is_text(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
