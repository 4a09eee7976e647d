//! After a 401: another credential from the same source, or the reason why there is none.

use keyfob_core::{Cause, Error, Id, Result, Source, oauth::dialect::Dialect, source::Purpose};

use crate::{
    credential::{
        self,
        grant::{Grant, as_it_is},
        helper, session_token,
        survey::Survey,
    },
    renewal::Need,
    session::Session,
};

impl Session {
    /// What to do after a 401: renews, but only if this grant's generation is still the newest. Never another
    /// source.
    pub(crate) fn rejected(&self, grant: &Grant) -> Result<Grant> {
        let ended = grant.expires_at.is_some_and(|end| end <= self.world.clock.now());
        if grant.in_place_of_rejected && !ended {
            let what = format!("the credential from {} was rejected again", grant.source);
            let why = "it was got in the place of a rejected one, and neither was accepted";
            return Err(Error::new(Id::RejectedStale, what, why).because(Cause::RejectedNewest {}));
        }
        let next = self.other_than(grant)?;
        Ok(Grant { in_place_of_rejected: true, ..next })
    }

    fn other_than(&self, grant: &Grant) -> Result<Grant> {
        if grant.source == Source::ApiKeyHelper {
            return self.rejected_key(grant.purpose, &grant.credential.fingerprint());
        }
        if grant.source == Source::SessionToken
            && let Some(newer) = session_token::other_than(self, &grant.credential)?
        {
            return Ok(as_it_is(
                grant.purpose,
                grant.source,
                newer,
                &Dialect::default(),
                grant.considered.clone(),
            ));
        }
        let Some(generation) = grant.generation.clone() else {
            let what = format!("the credential from {} was rejected", grant.source);
            return Err(Error::new(Id::ProviderRefused, what, "it is used as it is and cannot be renewed")
                .because(Cause::RejectedSource { source: grant.source.to_string() }));
        };
        let need = Need::new().rejected(generation);
        let next = credential::grant(self, grant.purpose, &need)?;
        if next.source != grant.source {
            let what = format!("the credential from {} was rejected", grant.source);
            let why = format!(
                "it is no longer what would be used: {} is, and a rejection never changes the source",
                next.source
            );
            return Err(Error::new(Id::LoginChanged, what, why));
        }
        Ok(next)
    }

    /// Whether the credential that would be used for this purpose may go to this origin: where its provider is asked, or
    /// one of the `hosts` of its configuration. For callers that are asked for a credential and know for which address.
    pub(crate) fn may_go_to(&self, purpose: Purpose, origin: &str) -> Result<bool> {
        let survey = Survey::of(self, purpose);
        Ok(self.environment()?.may_have_credential(origin, survey.record.as_deref()))
    }

    /// What to do after a 401 to the helper's key, named by its fingerprint: the helper runs once more, unless another
    /// process has run it since.
    pub(crate) fn rejected_key(&self, purpose: Purpose, fingerprint: &str) -> Result<Grant> {
        let survey = Survey::of(self, purpose);
        match (survey.winner, survey.broken) {
            (Some(Source::ApiKeyHelper), _) => {
                let key = helper::run_again(self, fingerprint)?;
                Ok(as_it_is(purpose, Source::ApiKeyHelper, key, &Dialect::default(), survey.considered))
            }
            (None, Some(broken)) => Err(broken),
            (winner, _) => {
                let used = winner.map_or("nothing".into(), |source| source.to_string());
                let why = format!("{used} is used, and no key of the api_key_helper");
                Err(Error::new(Id::ProviderRefused, "the rejected key cannot be replaced", why)
                    .because(Cause::RejectedOther {}))
            }
        }
    }
}
