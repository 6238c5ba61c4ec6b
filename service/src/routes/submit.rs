//! `POST /v1/submit`.

use std::io::{self, Read};
use std::sync::Arc;

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

/// Admits a submission, or changes nothing.
pub async fn submit(State(app): State<Arc<App>>, body: Body) -> Result<Json<Value>, Problem> {
    let Ok(place) = Arc::clone(&app.submissions).try_acquire_owned() else {
        return Err(Problem::busy());
    };
    let stream = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let admitted = tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut body = SyncIoBridge::new(stream);
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
