//! `POST /v1/request`: asking for units to be built.
//!
//! Owns how the answer and its problems (RFC 9457) are told. Must not know what is asked for.

use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use sealift_policy::digest::Digest;
use serde::Deserialize;
use tokio::time::Instant;

use super::{MAX_SMALL, Remote, RemoteError, shown};

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// It did not get there, or no answer came back.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The service says no.
    #[error("`{url}` answers {status}: {problem}")]
    Refused {
        /// What was asked.
        url: String,
        /// The answer's status.
        status: u16,
        /// The service's words.
        problem: String,
    },
}

/// That a request is kept. Version 1.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Kept {
    /// What it is kept under.
    pub(crate) request: Digest,
}

/// What a problem document says to people.
#[derive(Debug, Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

impl Remote {
    /// Sends a request.
    pub(crate) async fn ask_for(&self, request: String) -> Result<Kept, RequestError> {
        let url = self.url("v1/request");
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(request);
        let begin = Instant::now();
        let mut response = self.step(&url, begin, request.send()).await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = self.step(&url, begin, response.chunk()).await? {
            if body.len() + piece.len() > usize::try_from(MAX_SMALL).unwrap_or(usize::MAX) {
                let (url, limit) = (shown(&url), MAX_SMALL);
                return Err(RemoteError::TooLong { url, limit }.into());
            }
            body.extend_from_slice(&piece);
        }
        judge(&url, status, &body)
    }
}

fn judge(url: &Url, status: StatusCode, body: &[u8]) -> Result<Kept, RequestError> {
    if status == StatusCode::ACCEPTED {
        return serde_json::from_slice(body).map_err(|error| {
            RequestError::Remote(RemoteError::Unexpected {
                url: shown(url),
                what: format!("not a request's answer ({error})"),
            })
        });
    }
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let problem = problem.and_then(|problem| problem.detail.or(problem.title));
    Err(RequestError::Refused {
        url: shown(url),
        status: status.as_u16(),
        // A stranger's words: neither long nor with anything that a terminal would obey.
        problem: problem.map_or_else(
            || "no reason that could be read".into(),
            |problem| problem.chars().take(300).flat_map(escape).collect(),
        ),
    })
}

fn escape(letter: char) -> Vec<char> {
    if letter.is_control() {
        letter.escape_default().collect()
    } else {
        vec![letter]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Kept, RequestError> {
        let url = Url::parse("http://store.example/v1/request").unwrap();
        judge(&url, StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_problem_is_told_in_the_service_s_words() {
        let body = r#"{"type":"about:blank","title":"no","status":422,"detail":"the request has too many features"}"#;
        assert_eq!(
            answer(422, body).unwrap_err().to_string(),
            "`http://store.example/v1/request` answers 422: the request has too many features"
        );
        assert!(
            answer(503, "<html>")
                .unwrap_err()
                .to_string()
                .ends_with("no reason that could be read")
        );
    }

    #[test]
    fn a_stranger_s_words_do_nothing_to_the_terminal() {
        let body = r#"{"detail":"\u001b[2Jgone\nerror: all is lost"}"#;
        let said = answer(422, body).unwrap_err().to_string();
        assert!(!said.contains(['\u{1b}', '\n']), "{said:?}");
    }

    #[test]
    fn only_an_answer_that_names_the_request_is_one() {
        let digest = Digest::of(b"request");
        let body = format!(r#"{{"version":1,"request":"{digest}"}}"#);
        assert_eq!(answer(202, &body).unwrap().request, digest);
        assert!(matches!(answer(202, "{}"), Err(RequestError::Remote(_))));
        assert!(matches!(answer(200, &body), Err(RequestError::Refused { .. })));
    }
}
