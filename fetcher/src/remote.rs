//! The public store over HTTP, with limits on everything that a stranger could make long, large or slow.
//!
//! Owns requests, and when a source is left alone for the rest of a build. Believes nothing: it hands out bytes.
//! Must not know trust, the local store or what the bytes mean.

pub(crate) mod request;

mod arriving;

use std::path::Path;
use std::sync::OnceLock;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Certificate, Client, NoProxy, Proxy, RequestBuilder, Response, StatusCode, Url, redirect};
use sealift_policy::digest::UnitKey;
use sealift_policy::layout::ObjectPath;
use sealift_policy::provenance::bundle::MAX_BUNDLE;
use sealift_policy::tuf::TufFile;
use sealift_policy::wire::{LookupRequest, LookupResponse, UnitHint};
use tokio::time::Instant;

use crate::cargo::Network;
use crate::prefetch::budget::{Budget, GaveUp, Limits};
pub(crate) use arriving::Arriving;

/// Longest answer to a lookup in bytes.
const MAX_LOOKUP_ANSWER: u64 = 256 << 20;

/// Longest hint about a unit in bytes.
const MAX_HINT: u64 = 1 << 20;

/// Longest `healthz` answer or checkpoint in bytes.
const MAX_SMALL: u64 = 64 << 10;

/// A store that is asked until something is wrong with it.
pub(crate) struct Remote {
    client: Client,
    base: Url,
    budget: Budget,
    broken: OnceLock<String>,
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// Not an `http` or `https` URL.
    #[error("`{0}` is not the URL of a store")]
    Url(String),
    /// The HTTP client cannot be set up on this machine.
    #[error("failed to set up HTTP")]
    Client(#[source] reqwest::Error),
    /// The certificate authorities that cargo is configured with cannot be read.
    #[error("failed to read cargo's `http.cainfo`")]
    Authorities(#[source] std::io::Error),
    /// Refused connection, DNS failure, TLS failure, a connection that breaks.
    #[error("failed to reach `{url}`: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The innermost reason.
        reason: String,
    },
    /// Too slow.
    #[error("`{url}`: {reason}")]
    TooSlow {
        /// What was asked for.
        url: String,
        /// How.
        #[source]
        reason: GaveUp,
    },
    /// The object is not there.
    #[error("`{0}` is not there")]
    Absent(String),
    /// Any status but 200 and 404; redirects are not followed.
    #[error("`{url}` answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// A sign-in page, an encoding that was not asked for, JSON that is none.
    #[error("`{url}` answers something else: {what}")]
    Unexpected {
        /// What was asked for.
        url: String,
        /// What came.
        what: String,
    },
    /// Longer than allowed.
    #[error("`{url}` is longer than {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// What was allowed.
        limit: u64,
    },
    /// The source was left alone after an earlier error.
    #[error("left alone after: {0}")]
    Broken(String),
}

impl Remote {
    /// A store below this URL.
    pub(crate) fn new(base: &str, limits: Limits, network: &Network) -> Result<Self, RemoteError> {
        let malformed = || RemoteError::Url(base.to_owned());
        let url = Url::parse(&format!("{base}/")).map_err(|_| malformed())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(malformed());
        }
        let mut client = Client::builder()
            // What is served is what is stored, whatever features other packages ask of the client's.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .user_agent(concat!("cargo-sealift/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(limits.connect);
        if let Some(proxy) = &network.proxy {
            let proxy = Proxy::all(with_scheme(proxy)).map_err(RemoteError::Client)?;
            // As for curl, whoever names the proxy.
            client = client.proxy(proxy.no_proxy(NoProxy::from_env()));
        }
        if let Some(path) = &network.authorities {
            client = client.tls_certs_merge(authorities(path)?);
        }
        let client = client.build().map_err(RemoteError::Client)?;
        Ok(Self {
            client,
            base: url,
            budget: Budget::start(limits),
            broken: OnceLock::new(),
        })
    }

    /// The time that is left, and the bytes that came.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Why the source is left alone, if it is.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Leaves the source alone from now on. The first reason is kept.
    pub(crate) fn leave_alone(&self, reason: &str) {
        // A second reason changes nothing.
        let _ = self.broken.set(reason.to_owned());
    }

    /// `POST /v1/lookup`.
    pub(crate) async fn lookup(
        &self,
        request: &LookupRequest,
        arriving: &Arriving,
    ) -> Result<LookupResponse, RemoteError> {
        let url = self.url("v1/lookup");
        let body = serde_json::to_vec(request).expect("requests have string keys only");
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = self
            .bytes(&url, request, MAX_LOOKUP_ANSWER, Kind::Answer(arriving))
            .await;
        // A store without the address cannot be used at all, unlike one that lacks an object.
        if let Err(RemoteError::Absent(url)) = &answer {
            self.leave_alone(&format!("`{url}` is not there"));
        }
        serde_json::from_slice(&answer?).map_err(|error| {
            self.broke(RemoteError::Unexpected {
                url: shown(&url),
                what: format!("not a lookup's answer ({error})"),
            })
        })
    }

    /// The stored bytes of an object, at most `limit` of them.
    pub(crate) async fn object(
        &self,
        path: &ObjectPath,
        limit: u64,
        arriving: &Arriving,
    ) -> Result<Vec<u8>, RemoteError> {
        let url = self.url(&path.to_string());
        let request = self.client.get(url.clone());
        self.bytes(&url, request, limit, Kind::Binary(arriving)).await
    }

    /// What the store says about a unit.
    pub(crate) async fn unit(&self, key: UnitKey) -> Result<UnitHint, RemoteError> {
        let url = self.url(&ObjectPath::Unit(key).to_string());
        let answer = self
            .bytes(&url, self.client.get(url.clone()), MAX_HINT, Kind::Json)
            .await?;
        serde_json::from_slice(&answer).map_err(|error| {
            self.broke(RemoteError::Unexpected {
                url: shown(&url),
                what: format!("not a unit's hint ({error})"),
            })
        })
    }

    /// What an operator says about how a unit was built.
    pub(crate) async fn provenance(&self, path: &ObjectPath) -> Result<Vec<u8>, RemoteError> {
        let url = self.url(&path.to_string());
        self.bytes(&url, self.client.get(url.clone()), MAX_BUNDLE, Kind::Json)
            .await
    }

    /// The newest signed checkpoint of a log, as text.
    pub(crate) async fn checkpoint(&self, path: &ObjectPath) -> Result<Vec<u8>, RemoteError> {
        let url = self.url(&path.to_string());
        self.bytes(&url, self.client.get(url.clone()), MAX_SMALL, Kind::Text)
            .await
    }

    /// A file of the TUF repository.
    pub(crate) async fn tuf(&self, file: TufFile) -> Result<Vec<u8>, RemoteError> {
        let url = self.url(&ObjectPath::Tuf(file).to_string());
        self.bytes(&url, self.client.get(url.clone()), file.limit(), Kind::Text)
            .await
    }

    /// Whether the service says that it is well.
    pub(crate) async fn healthz(&self) -> Result<(), RemoteError> {
        let url = self.url("healthz");
        self.bytes(&url, self.client.get(url.clone()), MAX_SMALL, Kind::Text)
            .await
            .map(drop)
    }

    fn url(&self, path: &str) -> Url {
        let joined = self.base.join(path.trim_start_matches('/'));
        joined.expect("the paths of the layout are plain")
    }

    async fn bytes(
        &self,
        url: &Url,
        request: RequestBuilder,
        limit: u64,
        kind: Kind<'_>,
    ) -> Result<Vec<u8>, RemoteError> {
        if let Some(reason) = self.broken() {
            return Err(RemoteError::Broken(reason.to_owned()));
        }
        let result = self.receive(url, request, limit, kind).await;
        result.map_err(|error| match error {
            RemoteError::Absent(_) => error,
            other => self.broke(other),
        })
    }

    fn broke(&self, error: RemoteError) -> RemoteError {
        self.leave_alone(&error.to_string());
        error
    }

    async fn receive(
        &self,
        url: &Url,
        request: RequestBuilder,
        limit: u64,
        kind: Kind<'_>,
    ) -> Result<Vec<u8>, RemoteError> {
        if let Kind::Answer(arriving) | Kind::Binary(arriving) = kind {
            arriving.ask();
        }
        let begin = Instant::now();
        let mut response = self.step(url, begin, request.send()).await?;
        let begin = Instant::now();
        check_head(url, &response, kind)?;
        let too_long = || RemoteError::TooLong { url: shown(url), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        if let (Kind::Answer(arriving) | Kind::Binary(arriving), Some(length)) = (kind, response.content_length()) {
            arriving.expect(length);
        }
        let mut body = Vec::new();
        while let Some(piece) = self.step(url, begin, response.chunk()).await? {
            self.budget.arrived(piece.len() as u64);
            if let Kind::Answer(arriving) | Kind::Binary(arriving) = kind {
                arriving.arrived(piece.len() as u64);
            }
            if body.len() as u64 + piece.len() as u64 > limit {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        if body.is_empty() {
            return Err(RemoteError::Unexpected {
                url: shown(url),
                what: "nothing".into(),
            });
        }
        Ok(body)
    }

    async fn step<T>(
        &self,
        url: &Url,
        since: Instant,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, RemoteError> {
        match self.budget.step(since, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(RemoteError::Unreachable {
                url: shown(url),
                reason: innermost(&error),
            }),
            Err(reason) => Err(RemoteError::TooSlow {
                url: shown(url),
                reason,
            }),
        }
    }
}

/// An address as it may be repeated in reports: without the name and password that it may hold.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // An address that can have neither has none.
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.to_string()
}

/// What kind of content an answer must claim to be.
#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Answer(&'a Arriving),
    Json,
    Binary(&'a Arriving),
    Text,
}

/// cargo, like curl, takes a proxy without a scheme to be one that speaks HTTP.
fn with_scheme(proxy: &str) -> String {
    if proxy.contains("://") {
        proxy.to_owned()
    } else {
        format!("http://{proxy}")
    }
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, RemoteError> {
    let pem = fs_err::read(path).map_err(RemoteError::Authorities)?;
    Certificate::from_pem_bundle(&pem).map_err(RemoteError::Client)
}

fn check_head(url: &Url, response: &Response, kind: Kind<'_>) -> Result<(), RemoteError> {
    let url = || shown(url);
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(RemoteError::Absent(url())),
        status => {
            return Err(RemoteError::Status {
                url: url(),
                status: status.as_u16(),
            });
        }
    }
    let header = |name| {
        response
            .headers()
            .get(name)
            .map_or(Some(""), |value| value.to_str().ok())
    };
    let encoding = header(CONTENT_ENCODING);
    if !matches!(encoding, Some("" | "identity")) {
        return Err(RemoteError::Unexpected {
            url: url(),
            what: "an encoding that was not asked for".into(),
        });
    }
    let kind_found = header(CONTENT_TYPE)
        .unwrap_or("?")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let fits = match kind {
        Kind::Answer(_) | Kind::Json => kind_found == "application/json",
        // What serves static files may call them anything, but a page for people is none of ours.
        Kind::Binary(_) => {
            !kind_found.starts_with("text/") && !kind_found.contains("json") && !kind_found.contains("html")
        }
        Kind::Text => !kind_found.contains("html"),
    };
    if fits {
        Ok(())
    } else {
        let what = kind_found.chars().take(80).flat_map(char::escape_default).collect();
        Err(RemoteError::Unexpected { url: url(), what })
    }
}

fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
