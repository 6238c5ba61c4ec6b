//! One question to one witness: the request, and what its answer is worth.
//!
//! Owns the statuses of `add-checkpoint` and the check of the line that comes back. Must not know other witnesses.

use reqwest::{Client, Response, StatusCode};
use sealift_policy::log::cosignature::WitnessVerifier;
use sealift_policy::log::cosigned::merged;
use sealift_policy::log::{ConsistencyProof, LogVerifier, SignedCheckpoint, TreeSize, VerifiedCheckpoint};
use sealift_policy::trust::CLOCK_TOLERANCE;

use crate::witness::request::body;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;

/// What a witness is asked, and with which key its answer is checked.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) witness: WitnessVerifier,
    pub(super) log: LogVerifier,
    pub(super) head: VerifiedCheckpoint,
    pub(super) now: u64,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The policy does not say where it is.
    #[error("the witness policy has no URL for it")]
    NoUrl,
    /// It cannot be reached, or the connection broke.
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Late,
    /// It has seen another size than the proof starts from.
    #[error("it has seen {seen} entries of the log, and goes on saying so")]
    Elsewhere {
        /// The size.
        seen: TreeSize,
    },
    /// It has cosigned a later head of this log already.
    #[error("it has cosigned a later head already, of {seen} entries")]
    Ahead {
        /// The size of that head.
        seen: TreeSize,
    },
    /// It says that it has seen more than there is.
    #[error(
        "it has seen {seen} entries of this log, more than there are: was the log restored from an older backup? \
         nothing of it can be published as long as that witness is needed"
    )]
    LogIsOlder {
        /// The size.
        seen: TreeSize,
    },
    /// It has seen another log of this name.
    #[error(
        "it says that this log does not extend what it has seen: was the log restored from an older backup, or is its key \
         used elsewhere?"
    )]
    NotConsistent,
    /// It refuses for another reason.
    #[error("it refuses ({status}): {said}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        said: String,
    },
    /// Its answer is no cosignature of this head by its key.
    #[error("its answer is no cosignature of this head by its key")]
    Forged,
    /// Its answer is from the future.
    #[error("its answer is {ahead} seconds ahead of the local clock")]
    FromTheFuture {
        /// Seconds.
        ahead: u64,
    },
}

impl Ask {
    /// Sends it, with the proof from the size that the witness is believed to have seen.
    pub(super) async fn send(&self, old: TreeSize, proof: &ConsistencyProof) -> Result<VerifiedCheckpoint, AskError> {
        let request = self.client.post(&self.url).body(body(old, proof, &self.head));
        let answer = request.send().await.map_err(AskError::Unreachable)?;
        let status = answer.status();
        let text = read(answer).await?;
        match status {
            StatusCode::OK => self.checked(&text),
            StatusCode::CONFLICT => {
                let size = text.strip_suffix('\n').and_then(|size| size.parse().ok());
                Err(size.map_or(AskError::Forged, |seen| AskError::Elsewhere { seen }))
            }
            StatusCode::UNPROCESSABLE_ENTITY => Err(AskError::NotConsistent),
            _ => Err(AskError::Refused {
                status,
                said: text.chars().take(200).flat_map(char::escape_debug).collect(),
            }),
        }
    }

    /// The head with the witness's own line, if it is one. Lines of other keys are ignored.
    fn checked(&self, lines: &str) -> Result<VerifiedCheckpoint, AskError> {
        let bytes = [self.head.as_bytes(), lines.as_bytes()].concat();
        let with_lines = SignedCheckpoint::parse(&bytes).and_then(|head| head.verify(&self.log));
        let with_lines = with_lines.map_err(|_| AskError::Forged)?;
        let cosignature = self.witness.cosigned(&with_lines).map_err(|_| AskError::Forged)?;
        let ahead = cosignature.time().saturating_sub(self.now);
        if ahead > CLOCK_TOLERANCE {
            return Err(AskError::FromTheFuture { ahead });
        }
        let only_its_own = std::slice::from_ref(&self.witness);
        merged(&self.log, only_its_own, &with_lines, &with_lines).map_err(|_| AskError::Forged)
    }
}

async fn read(mut answer: Response) -> Result<String, AskError> {
    let mut bytes = vec![];
    while let Some(chunk) = answer.chunk().await.map_err(AskError::Unreachable)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(AskError::Forged);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| AskError::Forged)
}
