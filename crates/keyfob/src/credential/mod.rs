//! From the order of sources to a credential, one file for each kind of source.

pub(crate) mod client_secret;
pub(crate) mod command;
pub mod grant;
pub mod helper;
pub mod look;
pub(crate) mod machine;
pub(crate) mod seed;
pub(crate) mod stored;

use keyfob_core::{Error, Id, Result, Source, source::Purpose};

use crate::{credential::grant::Grant, renewal::Need, session::Session};

impl Session {
    /// A credential for this purpose, renewed if that is due.
    pub(crate) fn grant(&self, purpose: Purpose) -> Result<Grant> {
        crate::credential::look::grant(self, purpose, &Need::default())
    }

    /// The same, good for at least so many seconds where it can be renewed.
    pub(crate) fn grant_for(&self, purpose: Purpose, need: &Need) -> Result<Grant> {
        crate::credential::look::grant(self, purpose, need)
    }

    /// What to do after a 401: renews, but only if this grant's generation is still the newest. Never another
    /// source.
    pub(crate) fn rejected(&self, grant: &Grant) -> Result<Grant> {
        let ended = grant.expires_at.is_some_and(|end| end <= self.world.clock.now());
        if grant.in_place_of_rejected && !ended {
            let what = format!("the credential from {} was rejected again", grant.source);
            let why = "it was got in the place of a rejected one, and neither was accepted";
            return Err(Error::new(Id::RejectedStale, what, why));
        }
        let next = self.other_than(grant)?;
        Ok(Grant { in_place_of_rejected: true, ..next })
    }

    fn other_than(&self, grant: &Grant) -> Result<Grant> {
        if grant.source == Source::ApiKeyHelper {
            return self.rejected_key(grant.purpose, &grant.credential.fingerprint());
        }
        let Some(generation) = grant.generation.clone() else {
            let what = format!("the credential from {} was rejected", grant.source);
            return Err(Error::new(Id::ProviderRefused, what, "it is used as it is and cannot be renewed")
                .hint("replace it, or unset it to use the stored login"));
        };
        let need = Need { min_valid: 0, rejected: Some(generation) };
        let next = crate::credential::look::grant(self, grant.purpose, &need)?;
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
    /// one of the `hosts` of its configuration. For whoever is asked for a credential and told by whom.
    pub(crate) fn may_go_to(&self, purpose: Purpose, origin: &str) -> Result<bool> {
        let survey = crate::credential::look::survey(self, purpose);
        Ok(self.environment()?.may_have_credential(origin, survey.record.as_deref()))
    }

    /// What to do after a 401 to the helper's key, named by its fingerprint: the helper runs once more, unless somebody
    /// else had it run since.
    pub(crate) fn rejected_key(&self, purpose: Purpose, fingerprint: &str) -> Result<Grant> {
        let survey = crate::credential::look::survey(self, purpose);
        match (survey.winner, survey.broken) {
            (Some(Source::ApiKeyHelper), _) => {
                let key = crate::credential::helper::run_again(self, fingerprint)?;
                Ok(crate::credential::stored::as_it_is(purpose, Source::ApiKeyHelper, key, survey.considered))
            }
            (None, Some(broken)) => Err(broken),
            (winner, _) => {
                let used = winner.map_or("nothing".into(), |source| source.to_string());
                let why = format!("{used} is used, and no key of the api_key_helper");
                Err(Error::new(Id::ProviderRefused, "the rejected key cannot be replaced", why)
                    .hint("see `keyfob status`"))
            }
        }
    }

    /// Asks the provider whether it accepts the credential that would be used. Renews nothing, and empties no descriptor.
    pub(crate) fn verify(&self, purpose: Purpose) -> Result<()> {
        let survey = crate::credential::look::survey(self, purpose);
        if let Some(error) = survey.broken {
            return Err(error);
        }
        // A stored login is shown to those who minted it and to nobody else, whatever the configuration says today.
        let (name, endpoints) = match &survey.record {
            Some(record) => (record.environment.clone(), record.endpoints.clone()),
            None => {
                let environment = self.complete_environment()?;
                (environment.name, environment.endpoints)
            }
        };
        let url = endpoints.whoami_url.as_ref().or(endpoints.userinfo_url.as_ref()).ok_or_else(|| {
            let what = format!("environment `{name}` cannot be asked");
            Error::new(
                Id::EnvironmentIncomplete,
                what,
                "it has no endpoint that says whose credential it sees",
            )
        })?;
        let headers = self.with_device(crate::credential::look::headers_at_hand(self, &survey)?);
        let timeout = std::time::Duration::from_secs(15);
        let request = crate::world::Request { method: "GET", url, headers, body: None, timeout };
        match self.world.http.send(&request) {
            Ok(answer) if answer.reply.status == 200 => match &answer.device_token {
                Some(successor) => self.renew_device(successor),
                None => Ok(()),
            },
            Ok(answer) => {
                let why =
                    format!("{} answered {}", crate::login::establish::origin(url), answer.reply.status);
                Err(Error::new(Id::ProviderRefused, "the provider does not accept the credential", why))
            }
            Err(no) => Err(Error::new(Id::Unreachable, "the provider could not be asked", no.why)),
        }
    }
}
