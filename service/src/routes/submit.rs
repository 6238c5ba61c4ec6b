//! `POST /v1/submit`.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::app::App;
use crate::error::Problem;
use crate::submission::{self, Outcome, SubmitError};

/// How much of a refused body is still read: a client that is cut off while it sends might never read the answer.
const DRAIN: u64 = 64 << 20;

/// The fewest bytes a second that a body may come with on the average.
const SLOWEST: u64 = 16 << 10;

/// The time for which a slow beginning is forgiven.
const GRACE: Duration = Duration::from_secs(60);

/// Admits a submission, or changes nothing.
pub async fn submit(State(app): State<Arc<App>>, body: Body) -> Result<Json<Value>, Problem> {
    let Ok(place) = Arc::clone(&app.submissions).try_acquire_owned() else {
        return Err(Problem::busy());
    };
    let stream = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let admitted = tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut body = Paced {
            body: SyncIoBridge::new(stream),
            waited: Duration::ZERO,
            read: 0,
        };
        let admitted = submission::submit(&app, &mut body);
        if admitted.is_err() {
            _ = io::copy(&mut body.take(DRAIN), &mut io::sink());
        }
        count(&app, &admitted);
        admitted
    });
    let outcome = admitted.await.map_err(|error| Problem::internal(&error))??;
    Ok(Json(json!({
        "version": 1,
        "operator": outcome.log.operator,
        "epoch": outcome.log.epoch,
        "size": outcome.size,
    })))
}

/// A body that must keep coming: there are few places for submissions, and nobody may sit on one.
struct Paced<R> {
    body: R,
    // The time spent waiting for the client, not that for checking what came.
    waited: Duration,
    read: u64,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if is_too_slow(self.read, self.waited) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let asked = Instant::now();
        let read = self.body.read(buffer);
        self.waited += asked.elapsed();
        let read = read?;
        self.read += read as u64;
        Ok(read)
    }
}

/// After a minute of grace, less than [`SLOWEST`] bytes a second.
fn is_too_slow(read: u64, waited: Duration) -> bool {
    waited.saturating_sub(GRACE).as_secs() > read / SLOWEST
}

fn count(app: &App, admitted: &Result<Outcome, SubmitError>) {
    match admitted {
        Ok(outcome) if outcome.admitted > 0 => {
            app.metrics.submissions_admitted.increment();
            app.metrics.units_admitted.add(outcome.admitted);
        }
        Ok(_) => app.metrics.submissions_known.increment(),
        Err(SubmitError::Publish(_) | SubmitError::Log(_) | SubmitError::Catalogue(_)) => {
            app.metrics.submissions_failed.increment();
        }
        Err(_) => app.metrics.submissions_refused.increment(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n3_a_body_of_one_byte_a_second_loses_its_place() {
        assert!(!is_too_slow(0, Duration::from_secs(60)));
        assert!(is_too_slow(120, Duration::from_secs(120)));
        assert!(!is_too_slow(10 << 20, Duration::from_secs(600)));
        assert!(is_too_slow(10 << 20, Duration::from_secs(800)));
    }
}
