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
    /// What can still be followed, and is not known to be as it is now.
    follow: Option<Follow<'a>>,
    /// Whether it has to be followed before anything is believed.
    is_due: bool,
}

/// For how long nobody asks again whatever a store's answer looks like, in seconds: one that names strange logs for ever
/// is not to cost more.
pub(super) const RECENT: u64 = 60;

impl<'a> Trusted<'a> {
    /// Whom what is here says to believe; `None` where a repository was never followed. What a state that is due says
    /// only makes up the question: whoever is revoked meanwhile is not believed.
    pub(super) fn known(order: &Order<'a>) -> Option<Self> {
        match order.trust {
            Trust::Policy(policy) => Some(Self {
                policy: Cow::Borrowed(policy),
                follow: None,
                is_due: false,
            }),
            Trust::Tuf(follow) => follow.known().map(|state| Self {
                is_due: state.is_due(follow.now),
                follow: state.is_older_than(RECENT, follow.now).then_some(follow),
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
        Ok(Self {
            policy,
            follow: None,
            is_due: false,
        })
    }

    /// Whether the repository has to be asked before anything is downloaded.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
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
        if std::mem::take(&mut self.is_due)
            && let Some(follow) = self.follow.take()
        {
            self.policy = Cow::Owned(followed(&follow, order, remote, fetched).await?);
        }
        Ok(())
    }

    /// Follows the repository, unless that was done just now: the store speaks of logs that the policy does not name, as
    /// it does when an operator's key was replaced. Where the repository cannot be had, or has expired, what is known goes
    /// on to count: it is not due.
    ///
    /// # Errors
    /// When the repository is not as it should be.
    pub(super) async fn renew(
        &mut self,
        order: &Order<'_>,
        remote: &Arc<Remote>,
        fetched: &mut Fetched,
    ) -> Result<(), String> {
        let Some(follow) = self.follow.take() else {
            return Ok(());
        };
        // By connections of its own: that it fails is not to keep the store from being asked.
        let Ok(apart) = Remote::new(order.url, order.limits, order.network) else {
            return Ok(());
        };
        order.watch.step(Step::Following);
        match follow.update(&Arc::new(apart)).await {
            Ok(state) => self.policy = Cow::Owned(state.policy),
            Err(NotFollowed::Remote(_) | NotFollowed::Store(_) | NotFollowed::Expired(_)) => {}
            Err(error) => return Err(refused(error, order, remote, fetched)),
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
    match follow.update(remote).await {
        Ok(state) => Ok(state.policy),
        Err(error) => Err(refused(error, order, remote, fetched)),
    }
}

/// Notes why nothing is downloaded, and says it.
fn refused(error: NotFollowed, order: &Order<'_>, remote: &Remote, fetched: &mut Fetched) -> String {
    fetched.event.bytes = remote.budget().received();
    fetched.event.obstacle = match &error {
        NotFollowed::Expired(_) | NotFollowed::Clock(_) => Some(Cause::TrustExpired),
        NotFollowed::Forged { .. } | NotFollowed::Malformed(_) => Some(Cause::Untrusted),
        NotFollowed::Remote(_) => Some(Cause::Unreachable),
        NotFollowed::Store(_) => None,
    };
    let what = chain(&error);
    remote.leave_alone(&what);
    // Whoever shows an old repository for ever is to be noticed; who shows none cannot be told from an outage.
    if matches!(error, NotFollowed::Expired(_) | NotFollowed::Clock(_)) {
        order.watch.step(Step::Notice(&what));
    }
    if let NotFollowed::Forged { evidence, .. } = error {
        let alarm = Alarm {
            what: what.clone(),
            evidence,
        };
        fetched.raise(alarm, order.watch);
    }
    what
}
