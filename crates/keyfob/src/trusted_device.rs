//! Trusted devices: a token that tells the provider that this machine was seen before. It belongs to one provider and
//! one account, is valid for ninety days, and is sent only to endpoints of that provider.

use std::{path::PathBuf, time::Duration};

use keyfob_core::{
    Cause, Error, Id, ProviderTime, Record, Result, Secret, Timestamp, digest, json, oauth::header::Header,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    credential::look,
    provider::{self, Failure},
    renewal::Need,
    session::Session,
    store::Seen,
};

const ANSWER: Duration = Duration::from_secs(20);
/// The header it travels in, both ways.
pub const HEADER: &str = "X-Trusted-Device-Token";

/// A device token and what is known of it.
#[derive(Debug)]
pub struct Device {
    /// The token.
    pub token: Secret,
    /// The provider's name for it; `None` for one that came through the variable.
    pub id: Option<String>,
    /// When it ends, by this machine's clock; `None` for one that came through the variable.
    pub expires_at: Option<Timestamp>,
}

/// What came of making this machine a trusted device during a sign-in.
#[derive(Debug)]
pub enum Enrolment {
    /// The provider did not ask for that, or it was one already.
    NotNeeded,
    /// It is one now.
    Enrolled(Device),
    /// It could not be made one. The login is not affected.
    Failed(Error),
}

/// What became of the device token that was to be forgotten.
#[derive(Debug)]
pub enum Forgotten {
    /// There was none.
    Nothing,
    /// It is gone, and the provider took this machine off its list.
    Everywhere,
    /// It is gone here, and why the provider still lists this machine.
    OnlyHere(Error),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    issuer: String,
    account: String,
    device_id: String,
    device_token: Zeroizing<String>,
    expires_at: ProviderTime,
}

#[derive(Deserialize)]
struct Enrolled {
    device_id: String,
    device_token: Zeroizing<String>,
    expires_at: ProviderTime,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Session {
    /// The device token that goes with this login: the variable's, which is never stored, else the stored one
    /// of this provider and account, unless it has ended.
    pub(crate) fn device(&self) -> Result<Option<Device>> {
        if let Some(token) = &self.setup.settings.device_token {
            return Ok(Some(Device { token: token.duplicate(), id: None, expires_at: None }));
        }
        let Some(record) = look::record_at_hand(self) else { return Ok(None) };
        let place = self.device_place(&record)?;
        let Some(stored) = self.read_device(&place)? else { return Ok(None) };
        let end = self.world.clock.ahead(&record).ours(stored.expires_at);
        if end <= self.world.clock.now() {
            return Ok(None);
        }
        let token = Secret::visible(&stored.device_token).map_err(|why| damaged(&place, why.as_str()))?;
        Ok(Some(Device { token, id: Some(stored.device_id), expires_at: Some(end) }))
    }

    /// Makes this machine a trusted device of the stored login's account.
    pub(crate) fn enroll_device(&self, name: &str) -> Result<Device> {
        if self.setup.settings.device_token.is_some() {
            let what = format!("{} is set", keyfob_core::contract::names::DEVICE_TOKEN);
            return Err(Error::new(
                Id::Usage,
                what,
                "it names this device already, so there is nothing to enrol",
            )
            .because(Cause::DeviceTokenSet { variable: keyfob_core::contract::names::DEVICE_TOKEN.into() }));
        }
        let record = self.fresh_record()?;
        let url = record.endpoints.devices_url.clone().ok_or_else(|| {
            let what = format!("{} has no trusted devices", record.issuer);
            Error::new(Id::EnvironmentIncomplete, what, "its endpoint for them is not known")
        })?;
        let body = serde_json::json!({ "display_name": name }).to_string();
        let what = "this machine was not enrolled";
        let call = provider::post_json(&self.world, &url, Secret::from(body));
        let answer = call
            .with(bearer(&record)?)
            .within(ANSWER)
            .expect(&[201])
            .map_err(|failure| not_enrolled(what, failure))?;
        let enrolled: Enrolled = json::strict(&answer.reply.body)
            .map_err(|why| Error::new(Id::AnswerInvalid, what, format!("the answer {why}")))?;
        if answer.reply.sent.is_in(&enrolled.device_id) {
            return Err(Error::new(Id::AnswerInvalid, what, "its device id repeats what it was sent"));
        }
        let token = Secret::visible(&enrolled.device_token)
            .map_err(|why| Error::new(Id::AnswerInvalid, what, format!("its token {why}")))?;
        let stored = Stored {
            version: 1,
            issuer: record.issuer.clone(),
            account: record.identity.account_uuid.clone().unwrap_or_default(),
            device_id: enrolled.device_id.clone(),
            device_token: enrolled.device_token,
            expires_at: enrolled.expires_at,
        };
        self.write_device(&self.device_place(&record)?, &stored)?;
        Ok(Device {
            token,
            id: Some(enrolled.device_id),
            expires_at: Some(self.world.clock.ahead(&record).ours(enrolled.expires_at)),
        })
    }

    /// The headers of a request to the stored login's provider, with the device token if there is one.
    pub(crate) fn with_device(&self, mut headers: Vec<Header>) -> Vec<Header> {
        // A damaged file must not keep a report from asking: `device status` reports it.
        if let Ok(Some(device)) = self.device() {
            headers.push((HEADER.into(), device.token));
        }
        headers
    }

    /// Forgets this machine's device token for the account of a login that is about to end, unless another stored login
    /// is of the same account. The provider is informed with the token at hand; a login is not renewed for that.
    pub(crate) fn forget_device_of(&self, record: &Record) {
        let Ok(place) = self.device_place(record) else { return };
        let Ok(Some(stored)) = self.read_device(&place) else { return };
        if self.others_of_account(record) {
            return;
        }
        let _ = self.strike(&stored, record);
        let _ = self.world.files.remove(&place);
    }

    fn others_of_account(&self, record: &Record) -> bool {
        let Ok(listed) = self.logins().and_then(|logins| logins.list()) else { return false };
        listed.stores.iter().any(|store| {
            matches!(store.look(), Ok(Seen::Record(other)) if other.issuer == record.issuer
                && other.identity.account_uuid == record.identity.account_uuid
                && other.generation.login() != record.generation.login()
                && other.refresh_token.is_some())
        })
    }

    /// Takes this machine off the account's devices and removes its token here in any case.
    pub(crate) fn forget_device(&self) -> Result<Forgotten> {
        let Some(record) = look::record_at_hand(self) else { return Ok(Forgotten::Nothing) };
        let place = self.device_place(&record)?;
        let Some(stored) = self.read_device(&place)? else { return Ok(Forgotten::Nothing) };
        let told = self.take_off(&stored);
        self.world.files.remove(&place).map_err(|error| failed(&place, &error.to_string()))?;
        Ok(told.map_or_else(Forgotten::OnlyHere, |()| Forgotten::Everywhere))
    }

    fn take_off(&self, stored: &Stored) -> Result<()> {
        self.strike(stored, &self.fresh_record()?)
    }

    fn strike(&self, stored: &Stored, record: &Record) -> Result<()> {
        let what = "the provider still lists this device";
        let Some(base) = &record.endpoints.devices_url else {
            return Err(Error::new(Id::EnvironmentIncomplete, what, "its endpoint is not known"));
        };
        let mut url =
            url::Url::parse(base).map_err(|_| Error::new(Id::Bug, what, "its endpoint is not a URL"))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&stored.device_id);
        }
        let call = provider::delete(&self.world, url.as_str()).with(bearer(record)?).within(ANSWER);
        call.expect(&[204, 404]).map(|_| ()).map_err(|failure| failure.error(what))
    }

    /// Puts the successor a provider sent in its predecessor's place. One that came through the variable has
    /// no place.
    #[expect(clippy::disallowed_methods, reason = "the successor goes into the file of its predecessor")]
    pub(crate) fn renew_device(&self, successor: &Secret) -> Result<()> {
        if self.setup.settings.device_token.is_some() {
            return Ok(());
        }
        let Some(record) = look::record_at_hand(self) else { return Ok(()) };
        let place = self.device_place(&record)?;
        let Some(mut stored) = self.read_device(&place)? else { return Ok(()) };
        stored.device_token = Zeroizing::new(successor.expose().to_owned());
        let now = self.world.clock.ahead(&record).theirs(self.world.clock.now());
        stored.expires_at = now.plus(90 * 24 * 3600);
        self.write_device(&place, &stored)
    }

    /// The stored login's record, renewed if that is due.
    fn fresh_record(&self) -> Result<Record> {
        let usable = crate::renewal::usable(&self.world, &*self.store()?, &Need::default(), &*self.spender)?;
        usable.map(|usable| usable.record).ok_or_else(|| {
            let what = format!("nobody signed in to profile `{}`", self.setup.profile_name());
            Error::new(Id::LoginNeeded, what, "a trusted device belongs to a login")
        })
    }

    fn device_place(&self, record: &Record) -> Result<PathBuf> {
        let home = self.setup.require_home()?;
        let account = record.identity.account_uuid.as_deref().unwrap_or("");
        let name = digest::name_of([record.issuer.as_str(), account]);
        Ok(home.logins.with_file_name("devices").join(format!("{name}.json")))
    }

    fn read_device(&self, place: &std::path::Path) -> Result<Option<Stored>> {
        let bytes = self.world.files.read(place).map_err(|error| failed(place, &error.to_string()))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        json::strict(&bytes).map(Some).map_err(|why| damaged(place, why))
    }

    /// The old token stays until the new one is on the disk.
    fn write_device(&self, place: &std::path::Path, stored: &Stored) -> Result<()> {
        let files = &self.world.files;
        let dir = place.parent().unwrap_or(place);
        let bytes = serde_json::to_vec_pretty(stored).map(Zeroizing::new);
        let bytes =
            bytes.map_err(|_| Error::new(Id::Bug, "the device token", "it cannot be written as JSON"))?;
        let write = || {
            files.make_dir(dir)?;
            files.check_dir(dir, true)?;
            crate::world::exclusively(&self.world, place, || files.replace(place, &bytes))
        };
        write().map_err(|error| failed(place, &error.to_string()))
    }
}

/// Why the provider objects, if it gives an error code.
fn not_enrolled(what: &str, failure: Failure) -> Error {
    let word = failure.reply().and_then(|reply| {
        let refused = json::strict::<Refused>(&reply.body).ok()?;
        let said = (refused.error != "stale_login").then(|| reply.quote(&refused.error));
        Some(said)
    });
    match word {
        None => failure.error(what),
        Some(None) => {
            Error::new(Id::LoginNeeded, what, "the provider wants a login younger than ten minutes")
                .because(Cause::TooOldToEnroll {})
        }
        Some(Some(said)) => Error::new(Id::ProviderRefused, what, format!("the provider said `{said}`")),
    }
}

fn bearer(record: &Record) -> Result<Vec<Header>> {
    let token = record.access_token.as_ref().ok_or_else(|| {
        Error::new(
            Id::LoginNeeded,
            format!("the login of profile `{}` cannot enrol a device", record.profile),
            "it has no access token",
        )
    })?;
    Ok(crate::credential::grant::headers(keyfob_core::Source::Login, token, &record.dialect))
}

fn failed(place: &std::path::Path, why: &str) -> Error {
    Error::new(Id::StoreFailed, format!("the device token in {}", place.display()), why)
}

fn damaged(place: &std::path::Path, why: &str) -> Error {
    Error::new(
        Id::StoreCorrupt,
        format!("the device token in {}", place.display()),
        format!("the file {why}"),
    )
    .because(Cause::DeviceUnreadable {})
}
