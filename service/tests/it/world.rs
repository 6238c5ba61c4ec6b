//! A service in a temporary folder, asked through its router.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use sealift_policy::digest::Digest;
use sealift_policy::trust::TrustPolicy;
use sealift_service::app::App;
use sealift_service::router::router;
use sealift_service::store::Store;
use sealift_service::store::fs::FsStore;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::operator::{Operator, Submission, policy};

pub(crate) struct World {
    pub(crate) folder: Arc<tempfile::TempDir>,
    pub(crate) policy: TrustPolicy,
    pub(crate) app: Arc<App>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) fn new(operators: &[&Operator]) -> Self {
        Self::over(Arc::new(folder()), policy(operators))
    }

    pub(crate) fn over(folder: Arc<tempfile::TempDir>, policy: TrustPolicy) -> Self {
        let store = Box::new(FsStore::open(folder.path()).unwrap());
        Self::with_store(folder, policy, store)
    }

    pub(crate) fn with_store(folder: Arc<tempfile::TempDir>, policy: TrustPolicy, store: Box<dyn Store>) -> Self {
        let app = App::open(store, &folder.path().join("catalogue.sqlite"), Some(&policy)).unwrap();
        Self {
            folder,
            policy,
            app: Arc::new(app),
        }
    }

    /// The service stops and starts again.
    pub(crate) fn restart(self) -> Self {
        let Self { folder, policy, app } = self;
        drop(Arc::into_inner(app).expect("nothing else holds the service"));
        Self::over(folder, policy)
    }

    pub(crate) fn router(&self) -> Router {
        router(Arc::clone(&self.app))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(
            Request::builder()
                .method(Method::POST)
                .uri(path)
                .body(body.into())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn submit(&self, submission: &Submission) -> Answer {
        self.post("/v1/submit", submission.body()).await
    }

    /// Submits what must be admitted.
    pub(crate) async fn admit(&self, submission: &Submission) {
        let answer = self.submit(submission).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }

    /// Everything that lasts, by path.
    pub(crate) fn disk(&self) -> BTreeMap<String, Digest> {
        disk(self.folder.path())
    }

    pub(crate) fn fsck(&self) -> sealift_service::fsck::Report {
        sealift_service::fsck::run(self.folder.path(), Some(&self.policy)).unwrap()
    }
}

/// A folder for a store. In memory where that is possible: the tests are about order and content, and on a busy disk
/// thousands of syncs take minutes.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Every file of the store but SQLite's own; staged files count, so that none may be left.
pub(crate) fn disk(root: &Path) -> BTreeMap<String, Digest> {
    let files = walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    let files = files.filter(|entry| !entry.file_name().to_string_lossy().starts_with("catalogue.sqlite"));
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    files
        .map(|file| (name(file.path()), Digest::of(&fs_err::read(file.path()).unwrap())))
        .collect()
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The kind of the problem document.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(document["title"].is_string() && document["detail"].is_string());
        document["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("urn:sealift:problem:")
            .to_owned()
    }
}
