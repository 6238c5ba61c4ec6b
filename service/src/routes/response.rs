//! An object as an HTTP response: entity tag, conditional requests, byte ranges, caching (RFC 9110, 9111).
//!
//! Must not know how a request's path became an object's.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::error::Problem;
use crate::store::Object;

/// The longest object that is read into memory to be tagged by its content.
const MAX_TAGGED: u64 = 32 << 20;

/// What kind of object it is, as far as HTTP is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log's head: changes at any time.
    Checkpoint,
    /// A tile: never changes.
    Tile,
    /// A proof file: never changes.
    Proof,
    /// A hint, which grows, or a provenance bundle, which may be replaced.
    Hint,
    /// A content-addressed object: never changes.
    Blob,
    /// The newest timestamp of the TUF repository: changes at any time.
    Timestamp,
    /// Other files of the TUF repository: never change.
    Metadata,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Checkpoint | Self::Proof => "text/plain; charset=utf-8",
            Self::Tile => "application/octet-stream",
            Self::Hint | Self::Timestamp | Self::Metadata => "application/json",
            Self::Blob => "application/zstd",
        }
    }

    fn cache_control(self) -> &'static str {
        match self {
            Self::Checkpoint | Self::Timestamp => "public, max-age=5",
            Self::Hint => "public, max-age=60",
            Self::Tile | Self::Proof | Self::Blob | Self::Metadata => "public, max-age=31536000, immutable",
        }
    }
}

/// Serves an object, or the part of it that is asked for, or the news that it has not changed.
pub async fn object(app: Arc<App>, path: ObjectPath, kind: Kind, asked: HeaderMap) -> Result<Response, Problem> {
    let opened = tokio::task::spawn_blocking(move || {
        let object = app.store().open(&path)?;
        let counter = if object.is_some() {
            &app.metrics.objects_found
        } else {
            &app.metrics.objects_missing
        };
        counter.increment();
        object.map(|object| Source::of(object, &path)).transpose()
    });
    let opened = opened.await.map_err(|error| Problem::internal(&error))?;
    let Some((tag, source)) = opened.map_err(|error| Problem::internal(&error))? else {
        return Err(Problem::not_found());
    };
    let mut headers = HeaderMap::new();
    let tag = HeaderValue::try_from(tag).map_err(|error| Problem::internal(&error))?;
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kind.cache_control()));
    if unchanged(&asked, &tag) {
        headers.insert(header::ETAG, tag);
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let length = source.length();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = range(&asked, &tag, length);
    headers.insert(header::ETAG, tag);
    let (status, start, count) = match range {
        Range::Whole => (StatusCode::OK, 0, length),
        Range::Part { start, end } => {
            let text = format!("bytes {start}-{}/{length}", end - 1);
            headers.insert(
                header::CONTENT_RANGE,
                HeaderValue::try_from(text).expect("digits and punctuation"),
            );
            (StatusCode::PARTIAL_CONTENT, start, end - start)
        }
        Range::Unsatisfiable => {
            let mut response =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", "no such bytes").into_response();
            let text = HeaderValue::try_from(format!("bytes */{length}")).expect("digits and punctuation");
            response.headers_mut().insert(header::CONTENT_RANGE, text);
            return Ok(response);
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    let body = source
        .body(start, count)
        .await
        .map_err(|error| Problem::internal(&error))?;
    Ok((status, headers, body).into_response())
}

/// Where the bytes come from.
enum Source {
    Memory(Vec<u8>),
    File(fs_err::File, u64),
}

impl Source {
    /// Small objects are tagged by what they are. A content-addressed one has its digest in its name; the length is in
    /// the tag too, since the same content can be stored in another compressed form.
    fn of(object: Object, path: &ObjectPath) -> std::io::Result<(String, Self)> {
        if let ObjectPath::Cas(sha256) = path {
            let tag = format!("\"{sha256}-{}\"", object.length);
            return Ok((tag, Self::File(object.file, object.length)));
        }
        let bytes = object.read_all(MAX_TAGGED)?;
        Ok((format!("\"{}\"", Digest::of(&bytes)), Self::Memory(bytes)))
    }

    fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }

    async fn body(self, start: u64, count: u64) -> std::io::Result<Body> {
        match self {
            Self::Memory(bytes) => {
                let from = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
                let count = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len() - from);
                Ok(Body::from(bytes[from..from + count].to_vec()))
            }
            Self::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file.into_parts().0);
                file.seek(SeekFrom::Start(start)).await?;
                Ok(Body::from_stream(ReaderStream::with_capacity(
                    file.take(count),
                    64 << 10,
                )))
            }
        }
    }
}

/// Whether `If-None-Match` names what we have.
fn unchanged(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let texts = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let tag = tag.to_str().unwrap_or_default();
    texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { start: u64, end: u64 },
    Unsatisfiable,
}

/// One range of bytes. Whatever is not understood, and several ranges at once, give the whole.
fn range(asked: &HeaderMap, tag: &HeaderValue, length: u64) -> Range {
    let Some(text) = asked.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Range::Whole;
    };
    if asked.get(header::IF_RANGE).is_some_and(|condition| condition != tag) {
        return Range::Whole;
    }
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are a number beyond every object.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(start), Some(last)) if last < start => Range::Whole,
        (Some(start), _) if start >= length && (last.is_empty() || number(last).is_some()) => Range::Unsatisfiable,
        (Some(start), Some(last)) => Range::Part {
            start,
            end: last.saturating_add(1).min(length),
        },
        (Some(start), None) if last.is_empty() => Range::Part { start, end: length },
        (None, Some(0)) if first.is_empty() => Range::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && length == 0 => Range::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => Range::Part {
            start: length.saturating_sub(suffix),
            end: length,
        },
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Range {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::try_from(text).unwrap())]);
        range(&headers, &HeaderValue::from_static("\"tag\""), 10)
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(asked("bytes=0-3"), Range::Part { start: 0, end: 4 });
        assert_eq!(asked("bytes=3-3"), Range::Part { start: 3, end: 4 });
        assert_eq!(asked("bytes=3-"), Range::Part { start: 3, end: 10 });
        assert_eq!(asked("bytes=3-99999999999999999999"), Range::Part { start: 3, end: 10 });
        assert_eq!(asked("bytes=-3"), Range::Part { start: 7, end: 10 });
        assert_eq!(asked("bytes=-30"), Range::Part { start: 0, end: 10 });
        for none in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(asked(none), Range::Unsatisfiable, "{none}");
        }
        for whole in [
            "bytes=3-2",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=+1-2",
            "x",
        ] {
            assert_eq!(asked(whole), Range::Whole, "{whole}");
        }
    }

    #[test]
    fn a_range_of_something_that_changed_gives_the_whole() {
        let headers = HeaderMap::from_iter([
            (header::RANGE, HeaderValue::from_static("bytes=1-2")),
            (header::IF_RANGE, HeaderValue::from_static("\"other\"")),
        ]);
        assert_eq!(range(&headers, &HeaderValue::from_static("\"tag\""), 10), Range::Whole);
    }
}
