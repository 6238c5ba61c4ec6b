//! Whom one prefetch believes: the configured policy, or the one that TUF leads to.
//!
//! Owns when the repository is followed, and that nothing is downloaded under a policy that could not be followed in
//! time. Must not know how metadata is verified.

use std::borrow::Cow;
use std::sync::Arc;

use sealift_policy::cause::Cause;
use sealift_policy::trust::TrustPolicy;

use super::found::{Alarm, Fetched};
use super::{Order, Step, Trust, chain};
use crate::remote::Remote;
use crate::tuf::{Follow, NotFollowed};

/// Whom a prefetch believes.
pub(super) struct Trusted<'a> {
    policy: Cow<'a, TrustPolicy>,
    /// What is still to be followed before anything is believed.
    due: Option<Follow<'a>>,
}

impl<'a> Trusted<'a> {
    /// Whom what is here says to believe; `None` where a repository was never followed. What a state that is due says
    /// only makes up the question: whoever is revoked meanwhile is not believed.
    pub(super) fn known(order: &Order<'a>) -> Option<Self> {
        match order.trust {
            Trust::Policy(policy) => Some(Self {
                policy: Cow::Borrowed(policy),
                due: None,
            }),
            Trust::Tuf(follow) => follow.known().map(|state| Self {
                due: state.is_due(follow.now).then_some(follow),
                policy: Cow::Owned(state.policy),
            }),
        }
    }

    /// Follows a repository for the first time.
    ///
    /// # Errors
    /// Why nothing is downloaded.
    pub(super) async fn first(order: &Order<'a>, remote: &Arc<Remote>, fetched: &mut Fetched) -> Result<Self, String> {
        let policy = match order.trust {
            Trust::Policy(policy) => Cow::Borrowed(policy),
            Trust::Tuf(follow) => Cow::Owned(followed(&follow, order, remote, fetched).await?),
        };
        Ok(Self { policy, due: None })
    }

    /// Whether the repository has to be asked before anything is downloaded.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// Who is believed, once [`Self::refresh`] has ended well.
    pub(super) fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// Follows the repository if that is due.
    ///
    /// # Errors
    /// Why nothing is downloaded. What was verified before goes on to count for what is here, until it expires.
    pub(super) async fn refresh(
        &mut self,
        order: &Order<'_>,
        remote: &Arc<Remote>,
        fetched: &mut Fetched,
    ) -> Result<(), String> {
        if let Some(follow) = self.due.take() {
            self.policy = Cow::Owned(followed(&follow, order, remote, fetched).await?);
        }
        Ok(())
    }
}

async fn followed(
    follow: &Follow<'_>,
    order: &Order<'_>,
    remote: &Arc<Remote>,
    fetched: &mut Fetched,
) -> Result<TrustPolicy, String> {
    order.watch.step(Step::Following);
    let error = match follow.update(remote).await {
        Ok(state) => return Ok(state.policy),
        Err(error) => error,
    };
    fetched.event.bytes = remote.budget().received();
    fetched.event.obstacle = match &error {
        NotFollowed::Expired(_) | NotFollowed::Clock(_) => Some(Cause::TrustExpired),
        NotFollowed::Forged { .. } | NotFollowed::Malformed(_) => Some(Cause::Untrusted),
        NotFollowed::Remote(_) => Some(Cause::Unreachable),
        NotFollowed::Store(_) => None,
    };
    let what = chain(&error);
    remote.leave_alone(&what);
    if let NotFollowed::Forged { evidence, .. } = error {
        let alarm = Alarm {
            what: what.clone(),
            evidence,
        };
        fetched.raise(alarm, order.watch);
    }
    Err(what)
}
