//! What goes wrong, as HTTP says it: RFC 9457 problem documents, all of them made here.
//!
//! Owns the status, the kind and the extra members of each. Must not know how the failure came about.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::admit::Refusal;
use crate::receive::ReceiveError;
use crate::submission::SubmitError;

/// A problem document.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem of this kind. The detail is for people.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            extra: Map::new(),
        }
    }

    /// There is no such object or route.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
    }

    /// The service itself failed. What failed goes to its own log, not to strangers.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!("{}", chain(error));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the service failed")
    }

    /// All places are taken.
    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many requests of this kind at once",
        )
    }

    fn with(mut self, member: &str, value: Value) -> Self {
        self.extra.insert(member.to_owned(), value);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = chain(&error);
        let refused = |kind| Self::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail.clone());
        match &error {
            SubmitError::Header(_) => Self::new(StatusCode::BAD_REQUEST, "malformed-submission", detail),
            SubmitError::HeaderTooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
            SubmitError::UnknownLog { .. } => Self::new(StatusCode::FORBIDDEN, "unknown-operator", detail),
            SubmitError::Frozen { .. } => Self::new(StatusCode::FORBIDDEN, "frozen", detail),
            SubmitError::Trailing => Self::new(StatusCode::BAD_REQUEST, "trailing-bytes", detail),
            SubmitError::Body(_) => Self::new(StatusCode::BAD_REQUEST, "truncated", detail),
            SubmitError::Refused(refusal) => match refusal {
                Refusal::OldSize { size, .. } => {
                    Self::new(StatusCode::CONFLICT, "old-size", detail).with("size", json!(size))
                }
                // Without a size: sending the rest from there would not help.
                Refusal::Inconsistent(_) => Self::new(StatusCode::CONFLICT, "inconsistent", detail),
                Refusal::Older => Self::new(StatusCode::CONFLICT, "older-checkpoint", detail),
                Refusal::SecondLeaf { .. } => Self::new(StatusCode::CONFLICT, "second-leaf", detail),
                Refusal::Checkpoint(_) => Self::new(StatusCode::FORBIDDEN, "checkpoint", detail),
                Refusal::Version(_) => refused("version"),
                Refusal::NotWitnessed => refused("not-witnessed"),
                Refusal::WrongRoot => refused("wrong-root"),
                Refusal::Leaf(..) => refused("leaf"),
                Refusal::ManifestDigest(_) => refused("manifest-digest"),
                Refusal::Manifest(..) => refused("manifest"),
                Refusal::OtherUnit(_) => refused("other-unit"),
                Refusal::KeyDocument(..) => refused("key-document"),
                Refusal::Outputs(_) => refused("outputs"),
                Refusal::Plans(_) => refused("plans"),
                Refusal::NotReviewed(_) => refused("not-reviewed"),
                Refusal::Blob(_) => refused("blob"),
                Refusal::Conflict(_) => refused("conflict"),
                Refusal::Append(_) => refused("append"),
                Refusal::Provenance(_) | Refusal::NoProvenance(_) | Refusal::StrayProvenance => refused("provenance"),
            },
            SubmitError::Receive(receive) => match receive {
                ReceiveError::Missing(digests) => refused("missing-blobs").with("missing", json!(digests)),
                ReceiveError::Truncated(_) => Self::new(StatusCode::BAD_REQUEST, "truncated", detail),
                ReceiveError::Body(_) => Self::new(StatusCode::BAD_REQUEST, "truncated", detail),
                ReceiveError::Blob { .. } => refused("blob-content"),
                ReceiveError::Store(_) => Self::internal(&error),
            },
            SubmitError::Publish(_) | SubmitError::Log(_) | SubmitError::Catalogue(_) => Self::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = Map::new();
        document.insert("type".into(), json!(format!("urn:sealift:problem:{}", self.kind)));
        document.insert("title".into(), json!(self.status.canonical_reason().unwrap_or("Error")));
        document.insert("status".into(), json!(self.status.as_u16()));
        document.insert("detail".into(), json!(self.detail));
        document.extend(self.extra);
        let body = Value::Object(document).to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // A miss may become a hit; everything else is nobody's business but the caller's.
        let cache = if self.status == StatusCode::NOT_FOUND {
            "public, max-age=60"
        } else {
            "no-store"
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // `#[error(transparent)]` says the same twice.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
