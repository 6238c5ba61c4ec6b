//! The service as an operator sees it: what it has, and handing over what it has not.
//!
//! Owns HTTP: timeouts, limits, retries. Must not know the log's files or what is in a submission.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_policy::name::OperatorName;
use sealift_policy::wire::SUBMISSION_CONTENT_TYPE;
use serde::Deserialize;

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    client: Client,
    url: String,
}

/// What the service said to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is admitted; the log has this size there now.
    Admitted(u64),
    /// The submission does not follow what is there: the log has this size.
    Elsewhere(u64),
}

/// Why the service did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The URL is none.
    #[error("`{0}` is not the URL of a service")]
    Url(String),
    /// It cannot be reached, or the connection broke.
    #[error("failed to reach the service")]
    Unreachable(#[source] reqwest::Error),
    /// It refuses.
    #[error("the service refuses ({status}): {said}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        said: String,
    },
    /// More bytes than what was asked for can have.
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
    /// What was received could not be kept.
    #[error("failed to keep what was received")]
    Write(#[source] std::io::Error),
    /// An answer that does not fit.
    #[error("the service gave an unexpected answer")]
    Unexpected,
}

/// Longest answer that is read, in bytes: a checkpoint or a short document.
const MAX_ANSWER: usize = 64 << 10;

/// How often a request is made when the service is busy or away for a moment.
const ATTEMPTS: u32 = 5;

#[derive(Deserialize)]
struct Size {
    size: u64,
}

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    size: Option<u64>,
}

impl Service {
    /// The service at this URL.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str) -> Result<Self, ServiceError> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(ServiceError::Url(url.to_owned()));
        }
        let client = Client::builder()
            // What is served is what is stored, whatever features other packages ask of the client's.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(Duration::from_secs(300))
            // What is not where it should be is somewhere else for a reason that we do not know.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sealift-builder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ServiceError::Unreachable)?;
        Ok(Self {
            client,
            url: url.to_owned(),
        })
    }

    /// Another service by the same means: reading the system's certificates takes a while.
    #[cfg(test)]
    pub(crate) fn at(&self, url: &str) -> Self {
        Self {
            client: self.client.clone(),
            url: url.to_owned(),
        }
    }

    /// The checkpoint that is published for a log.
    ///
    /// # Errors
    /// When the service cannot tell.
    pub async fn checkpoint(&self, operator: &OperatorName, epoch: u32) -> Result<Option<String>, ServiceError> {
        let path = ObjectPath::Checkpoint(operator.clone(), epoch);
        let answer = retried(|| self.client.get(format!("{}{path}", self.url))).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(body(answer).await?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(ServiceError::Refused {
                status,
                said: body(answer).await.unwrap_or_default(),
            }),
        }
    }

    /// An object as it is stored, in `out`; `None` when there is none. Returns its length.
    ///
    /// # Errors
    /// When it cannot be had, or is longer than `limit`.
    pub async fn download(
        &self,
        path: &ObjectPath,
        limit: u64,
        out: &mut impl std::io::Write,
    ) -> Result<Option<u64>, ServiceError> {
        let mut answer = retried(|| self.client.get(format!("{}{path}", self.url))).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            status => {
                let said = String::new();
                return Err(ServiceError::Refused { status, said });
            }
        }
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.map_err(ServiceError::Unreachable)? {
            length += chunk.len() as u64;
            if length > limit {
                return Err(ServiceError::TooLong(limit));
            }
            out.write_all(&chunk).map_err(ServiceError::Write)?;
        }
        Ok(Some(length))
    }

    /// As [`Self::download`], in memory.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub async fn read(&self, path: &ObjectPath, limit: u64) -> Result<Option<Vec<u8>>, ServiceError> {
        let mut bytes = Vec::new();
        Ok(self.download(path, limit, &mut bytes).await?.map(|_| bytes))
    }

    /// Whether the service has an object.
    ///
    /// # Errors
    /// When it cannot tell.
    pub async fn has(&self, object: Digest) -> Result<bool, ServiceError> {
        let path = ObjectPath::Cas(object);
        let answer = retried(|| self.client.head(format!("{}{path}", self.url))).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(ServiceError::Refused {
                status,
                said: String::new(),
            }),
        }
    }

    /// Hands over a submission.
    ///
    /// # Errors
    /// When it is refused for any reason but its place in the log.
    pub async fn submit(&self, submission: Vec<u8>) -> Result<Submitted, ServiceError> {
        let url = format!("{}/v1/submit", self.url);
        let request = || {
            let request = self.client.post(&url).header("content-type", SUBMISSION_CONTENT_TYPE);
            request.body(submission.clone())
        };
        let answer = retried(request).await?;
        let status = answer.status();
        let text = body(answer).await?;
        if status == StatusCode::OK {
            let size: Size = serde_json::from_str(&text).map_err(|_| ServiceError::Unexpected)?;
            return Ok(Submitted::Admitted(size.size));
        }
        let problem: Option<Problem> = serde_json::from_str(&text).ok();
        match problem {
            Some(Problem { size: Some(size), .. }) if status == StatusCode::CONFLICT => Ok(Submitted::Elsewhere(size)),
            Some(problem) => {
                let said = [problem.title, problem.detail]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(": ");
                Err(ServiceError::Refused { status, said })
            }
            None => Err(ServiceError::Refused { status, said: text }),
        }
    }
}

/// Makes a request again, after a while, as long as the service is away or busy. All requests are idempotent.
async fn retried(request: impl Fn() -> reqwest::RequestBuilder) -> Result<Response, ServiceError> {
    let mut pause = Duration::from_millis(250);
    for _ in 1..ATTEMPTS {
        match request().send().await {
            Ok(answer) if !is_passing(answer.status()) => return Ok(answer),
            Err(error) if !error.is_connect() && !error.is_timeout() && !error.is_request() => {
                return Err(ServiceError::Unreachable(error));
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause *= 4;
    }
    request().send().await.map_err(ServiceError::Unreachable)
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

async fn body(mut answer: Response) -> Result<String, ServiceError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(ServiceError::Unreachable)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(ServiceError::Unexpected);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ServiceError::Unexpected)
}
