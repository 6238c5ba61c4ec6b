//! What a prefetch did and met, for the build's events and for people.
//!
//! Owns what counts as an alarm and what as a problem. Must not know how anything is fetched.

use std::path::PathBuf;

use sealift_policy::cause::Cause;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{PrefetchEvent, RefusedUnit};

use super::download::Failed;
use super::offer::Offer;
use super::{Step, Watch, chain};
use crate::remote::Remote;

/// What a prefetch did.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// The numbers, for the build's events.
    pub(crate) event: PrefetchEvent,
    /// What looks like an attack.
    pub(crate) alarms: Vec<Alarm>,
}

/// Something that looks like an attack.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// What was seen, as a fragment of a sentence.
    pub(crate) what: String,
    /// Where it is kept.
    pub(crate) evidence: Option<PathBuf>,
}

impl Fetched {
    /// Notes a unit that was not believed.
    pub(super) fn refuse(&mut self, unit_key: UnitKey, reason: String, cause: Cause, alarming: bool) {
        self.event.rejected += 1;
        self.event.refused.push(RefusedUnit {
            unit_key,
            reason,
            cause: Some(cause),
            alarming,
        });
    }

    /// Notes what looks like an attack.
    pub(super) fn raise(&mut self, alarm: Alarm, watch: &dyn Watch) {
        watch.step(Step::Alarm(&alarm));
        self.alarms.push(alarm);
    }

    /// Notes why a unit could not be downloaded.
    pub(super) fn note(&mut self, offer: &Offer, failed: Failed, remote: &Remote, watch: &dyn Watch) {
        let reason = chain(&failed);
        match failed {
            Failed::Wrong { evidence, .. } => {
                let crate_name = offer.document.crate_name();
                let alarm = Alarm {
                    what: format!("unit `{crate_name}`: {reason}"),
                    evidence,
                };
                self.raise(alarm, watch);
                self.refuse(offer.unit_key, reason, Cause::Untrusted, true);
            }
            // A full disk stays full: nothing more is asked for.
            Failed::Local(_) => remote.leave_alone(&reason),
            Failed::NotWorth => self.event.left_alone.push(offer.unit_key),
            Failed::Elsewhere => {}
            Failed::Remote(_) if remote.broken().is_some() => {}
            // Of this unit alone: the others go on coming.
            Failed::Remote(_) | Failed::TooLarge(_) => {
                self.event.problems.push(reason.clone());
                self.event.refused.push(RefusedUnit {
                    unit_key: offer.unit_key,
                    reason,
                    cause: Some(Cause::Unreachable),
                    alarming: false,
                });
            }
        }
    }
}
