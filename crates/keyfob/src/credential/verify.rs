//! Asks the provider whether it accepts the credential that would be used.

use std::time::Duration;

use keyfob_core::{Cause, Error, Id, Result, Source, oauth::header::Header, source::Purpose};

use crate::{
    credential::{
        acquire, grant,
        look::{nothing, to_be_drained},
        survey::Survey,
    },
    provider::{self, Failure},
    renewal::Need,
    session::Session,
    trusted_device,
};

/// What the provider said of a credential that it does not reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// The provider accepts the credential, and says whose it is.
    Accepted,
    /// The provider knows the credential, but does not say whose it is (403): it is a machine's own, or its scopes are
    /// for something else. A credential that is not accepted gets 401 (RFC 6750 §3.1).
    Withheld,
}

impl Session {
    /// Asks the provider whether it accepts the credential that would be used. Renews nothing, and empties no descriptor.
    pub(crate) fn verify(&self, purpose: Purpose) -> Result<Verified> {
        let survey = Survey::of(self, purpose);
        if let Some(error) = survey.broken {
            return Err(error);
        }
        // A stored login is shown only to the provider that issued it, whatever the configuration says today.
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
        let headers = self.with_device(headers_at_hand(self, &survey)?);
        let call = provider::get(&self.world, url).with(headers).within(Duration::from_secs(15));
        match call.expect(&[200]) {
            Ok(answer) => match answer.headers.secret(trusted_device::HEADER) {
                Some(successor) => self.renew_device(&successor).map(|()| Verified::Accepted),
                None => Ok(Verified::Accepted),
            },
            Err(Failure::Status(answer)) if answer.reply.status == 403 => Ok(Verified::Withheld),
            Err(failure @ Failure::Status(_)) => {
                let what = match failure.cause() {
                    Some(Cause::Busy { .. }) => "the provider could not be asked",
                    _ => "the provider does not accept the credential",
                };
                Err(failure.error(what))
            }
            Err(failure @ Failure::NoAnswer(_)) => Err(failure.error("the provider could not be asked")),
        }
    }
}

/// The headers of the winner as it is now, without renewing it.
///
/// # Errors
/// [`Id::LoginNeeded`] when there is no winner; what is wrong with reading it.
pub(crate) fn headers_at_hand(session: &Session, survey: &Survey) -> Result<Vec<Header>> {
    match (survey.winner, &survey.record) {
        (Some(source), Some(record)) => match &record.access_token {
            Some(token) => Ok(grant::headers(source, token, &record.dialect)),
            None => Err(nothing(session, &survey.considered)),
        },
        (Some(Source::Login | Source::RefreshToken | Source::Federation) | None, None) | (None, Some(_)) => {
            Err(nothing(session, &survey.considered))
        }
        (Some(source), None) => {
            if let Some(descriptor) = to_be_drained(session, source) {
                let what = format!("the credential on descriptor {descriptor} cannot be verified");
                let why = "it would have to be read for that, and whoever it is for could not read it again";
                return Err(Error::new(Id::DescriptorUnusable, what, why).because(Cause::WouldBeDrained {}));
            }
            let grant = acquire(session, Purpose::Api, source, &Need::default(), Vec::new())?;
            Ok(grant.headers)
        }
    }
}
