//! Signs in with a code typed on another device (RFC 8628), where no browser or callback is available.

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Result,
    oauth::{
        device_code::{self, Pending, Poll},
        refusal,
    },
    provider::environment::Environment,
};

use crate::{
    login::{
        establish,
        signed_in::{Confirm, Meant, SignedIn},
    },
    provider::token,
    session::Session,
};

/// A sign-in that waits for a person at another device (RFC 8628): show them [`user_code`](Self::user_code) and
/// [`verification_uri`](Self::verification_uri), then [`wait`](Self::wait).
pub struct DeviceAttempt<'c> {
    session: &'c Session,
    environment: Environment,
    pending: Pending,
    patience: Option<Duration>,
}

impl Session {
    /// Begins to sign in with a code.
    pub(crate) fn begin_device_login(&self) -> Result<DeviceAttempt<'_>> {
        self.environment()?.for_a_person()?;
        if self.setup.config.device_grant_is_off {
            let why = "the configuration file says `device_grant = false`";
            let environment = self.environment()?.name.clone();
            return Err(Error::new(Id::DeviceGrantOff, "signing in with a code is switched off", why)
                .because(Cause::NoCodes { environment }));
        }
        let environment = self.complete_environment()?;
        let client_id = environment.require_client_id()?;
        let url = environment.endpoints.device_url.as_deref().ok_or_else(|| {
            let what = format!("environment `{}` cannot sign in with a code", environment.name);
            Error::new(Id::EnvironmentIncomplete, what, "it has no device authorization endpoint")
                .because(Cause::NoCodes { environment: environment.name.clone() })
        })?;
        establish::would_be_kept(self, &environment)?;
        let request = device_code::start(client_id, &environment.scopes, &environment.device_parameters);
        let reply = token::ask(self, &environment, url, request)?;
        let refused = |error: Error| {
            let word = refusal::said(&reply).and_then(|said| said.word);
            establish::refused_client(&environment, word.as_deref(), error.why()).unwrap_or(error)
        };
        let pending = Pending::read(&reply).map_err(refused)?;
        Ok(DeviceAttempt { session: self, pending, environment, patience: None })
    }
}

impl DeviceAttempt<'_> {
    /// The code to type (RFC 8628 §3.2). Show it even beside
    /// [`verification_uri_complete`](Self::verification_uri_complete), so that the person can compare (§3.3.1).
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.pending.user_code
    }

    /// Where to type it: a web address, as the provider gave it.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        &self.pending.verification_uri
    }

    /// The same with the code in it, for a link or a QR code, if the provider offers that.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.pending.verification_uri_complete.as_deref()
    }

    /// How long the code is good for, counted from the start of the attempt.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        Duration::from_secs(self.pending.expires_in.unsigned_abs())
    }

    /// Gives up after this time, if the code is good for longer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Polls the provider, at the interval it asks for (RFC 8628 §3.5), until the person has answered or the code has expired,
    /// and saves the login. A sign-in of another account than that of `email`, or than the one whose login is stored, is not
    /// saved unless `confirm` agrees. `left` receives the seconds that are left, once before each poll.
    ///
    /// # Errors
    /// [`ErrorId::LoginDenied`](crate::ErrorId::LoginDenied), [`ErrorId::LoginTimeout`](crate::ErrorId::LoginTimeout),
    /// [`ErrorId::OtherAccount`](crate::ErrorId::OtherAccount); what the provider answers, or what goes wrong with saving.
    pub fn wait(
        mut self,
        email: Option<&str>,
        left: &mut dyn FnMut(i64),
        confirm: Confirm<'_>,
    ) -> Result<SignedIn> {
        let url = self.environment.token_url()?.to_owned();
        let client_id = self.environment.require_client_id()?.clone();
        let clock = &self.session.world.clock;
        let good_for = Duration::from_secs(self.pending.expires_in.unsigned_abs());
        let given_up = self.patience.filter(|patience| *patience < good_for);
        let end = clock.stopwatch() + given_up.unwrap_or(good_for);
        loop {
            let remaining = end.saturating_sub(clock.stopwatch());
            if remaining.is_zero() {
                break;
            }
            left(i64::try_from(remaining.as_secs()).unwrap_or(i64::MAX));
            clock.sleep(Duration::from_secs(self.pending.interval.unsigned_abs()).min(remaining));
            match token::ask(self.session, &self.environment, &url, self.pending.poll(&client_id)) {
                Err(error) if error.id() == Id::Unreachable => self.pending.back_off(),
                Err(error) => return Err(error),
                Ok(reply) => match self.pending.answered(&reply) {
                    Poll::Wait => {}
                    Poll::Over(error) => return Err(error),
                    Poll::Granted(_) => {
                        return establish::establish(
                            self.session,
                            &self.environment,
                            &self.environment.scopes,
                            None,
                            &reply,
                            Meant { email, confirm },
                        );
                    }
                },
            }
        }
        let (why, cause) = match given_up {
            Some(patience) => (
                format!("nobody answered in {} s", patience.as_secs()),
                Cause::NobodyAnswered { paste: true },
            ),
            None => ("the code has expired".into(), Cause::CodeExpired {}),
        };
        Err(Error::new(Id::LoginTimeout, "signing in was not finished", why).because(cause))
    }
}
