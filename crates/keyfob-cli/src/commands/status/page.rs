//! The output of `keyfob status`: three lines for account, credential and expiry, and one more for each upcoming
//! problem.

use keyfob::{
    Source, Timestamp,
    internals::{
        core::{Record, login::sealed::KeyStore, oauth::client_auth::Place},
        credential::{client_proof::ClientProof, grant::Outcome, standing::Standing},
    },
};

use super::found::Found;
use crate::{
    advice,
    commands::setup_token,
    hand_over::{lent::Lender, shadows::typed},
    output::{
        manner::Manner,
        report::{Report, Result},
        terminal::plain,
        when::Calendar,
    },
};

/// What to show, to which reader, and the time.
pub(super) struct Page<'f> {
    pub(super) found: &'f Found,
    pub(super) calendar: &'f Calendar,
    pub(super) manner: Manner,
}

impl Page<'_> {
    pub(super) fn print(&self, all: bool) -> Result<()> {
        for line in self.at_a_glance().into_iter().chain(self.warnings()) {
            Report::prose(&line)?;
        }
        self.surroundings()?;
        if all { self.everything() } else { Ok(()) }
    }

    /// Account, credential and environment, expiry.
    fn at_a_glance(&self) -> Vec<String> {
        let survey = &self.found.survey;
        if let Some(lender) = &self.found.lender {
            return self.lent(lender);
        }
        match (survey.winner, &survey.record, &survey.standing) {
            (None, ..) => self.nobody(),
            (Some(source), Some(record), Some(_))
                if record.federated.is_some() && record.access_token.is_none() =>
            {
                self.as_it_is(source)
            }
            (Some(_), Some(record), Some(standing)) if record.federated.is_some() => vec![
                self.who(record, standing),
                format!(
                    "With the token it was exchanged for in environment `{}` ({}).",
                    plain(&record.environment),
                    plain(&record.issuer)
                ),
                self.until(record, standing),
            ],
            (Some(source), Some(record), Some(standing)) => {
                let with = match (&record.proof, source) {
                    (Some(_), _) => "With the token it got",
                    (None, Source::RefreshToken) => &*format!("With the login that {} began", typed(source)),
                    (None, _) => "With the login",
                };
                vec![
                    self.who(record, standing),
                    format!(
                        "{with} of profile `{}` in environment `{}` ({}).",
                        plain(&record.profile),
                        plain(&record.environment),
                        plain(&record.issuer)
                    ),
                    self.until(record, standing),
                ]
            }
            (Some(source), ..) => self.as_it_is(source),
        }
    }

    /// A login that is elsewhere.
    fn lent(&self, lender: &Lender) -> Vec<String> {
        let mark = self.manner.mark(lender.problem.is_none());
        let whose = match &lender.account {
            Some(account) => {
                format!("{mark}Signed in as {}, by an agent.", self.manner.bold(&plain(account)))
            }
            None => format!("{mark}An agent answers; it does not say whose login it has."),
        };
        let with = format!(
            "With the login of profile `{}` in environment `{}` where the agent runs (door `{}` at {}).",
            plain(&lender.profile),
            plain(&lender.environment),
            plain(&lender.door),
            plain(&lender.socket)
        );
        let until = lender.expires_in.map(|left| {
            let end = self.calendar.now().plus(left);
            if left > 0 {
                format!("Valid until {}; the agent renews it.", self.calendar.ahead(end))
            } else {
                format!("Its access token ended {}; the agent renews it when asked.", self.calendar.ago(end))
            }
        });
        [Some(whose), Some(with), until].into_iter().flatten().collect()
    }

    fn nobody(&self) -> Vec<String> {
        let setup = self.found.client.setup();
        let mark = self.manner.mark(false);
        let environment =
            setup.environment.as_ref().map_or(String::new(), |e| format!(" in environment `{}`", e.name));
        let at = format!("profile `{}`{environment}", setup.profile_name());
        match (&self.found.survey.broken, &self.found.survey.nobody) {
            (Some(error), _) if error.id() == keyfob::ErrorId::KeyStoreUnavailable => {
                vec![format!("{mark}The login of {at} is sealed, and its key cannot be had now.")]
            }
            (None, Some(error)) => {
                let told = advice::told(error);
                vec![format!("{mark}Not signed in ({at})."), sentence(&told.why), sentence(&told.hint)]
            }
            _ => vec![format!("{mark}No credential can be used now.")],
        }
    }

    /// A credential that is not a stored login.
    fn as_it_is(&self, source: Source) -> Vec<String> {
        let client = &self.found.client;
        let setup = client.setup();
        let mark = self.manner.mark(true);
        let machine = client.environment().ok().filter(|e| source == Source::Login && e.machine.is_some());
        let what = match machine {
            Some(environment) => {
                let id = environment.client_id.as_ref().map_or("", |id| id.as_str());
                format!("{mark}A machine's client, {}.", self.manner.bold(&format!("`{}`", plain(id))))
            }
            None => format!("{mark}Using {}.", self.manner.bold(typed(source))),
        };
        let place =
            setup.environment.as_ref().map(|e| format!("In environment `{}` ({}).", e.name, e.issuer()));
        let until = match (source, &self.found.minted) {
            (Source::Federation, _) => {
                "An identity token of this machine is exchanged when a token is first asked for.".into()
            }
            (Source::Login, _) => "It asks for a token when one is first needed.".into(),
            (Source::RefreshToken, _) => {
                "It is exchanged for a login when a token is first asked for.".into()
            }
            (_, Some(note)) => {
                let name =
                    note.name.as_deref().map_or(String::new(), |name| format!(" as `{}`", plain(name)));
                format!("It was created here{name} and {}.", setup_token::ends(note, self.calendar))
            }
            _ => match claimed(self.found.survey.claimed_end, self.calendar) {
                Some(claims) => format!(
                    "It is used as it is; it says itself that it {claims}, which nobody has verified."
                ),
                None => "It is used as it is; when it ends is not known here.".into(),
            },
        };
        [Some(what), place, Some(until)].into_iter().flatten().collect()
    }

    fn who(&self, record: &Record, standing: &Standing) -> String {
        let presets = &self.found.client.setup().settings.presets;
        let identity = record.identity.clone().overlaid(presets);
        let mark = self.manner.mark(standing.obstacle.is_none() && standing.ended.is_none());
        if let Some(federated) = &record.federated {
            let claims = federated.identity.clone().unwrap_or_default();
            let subject =
                claims.subject.as_deref().map_or("this machine".into(), |text| format!("`{}`", plain(text)));
            let issuer =
                claims.issuer.as_deref().map_or(String::new(), |text| format!(", as {} says", plain(text)));
            let audience = match &*claims.audience {
                [] => String::new(),
                all => format!(" to {}", plain(&all.join(", "))),
            };
            return format!("{mark}The workload {}{issuer}{audience}.", self.manner.bold(&subject));
        }
        if record.proof.is_some() {
            let client = format!("`{}`", plain(record.client_id.as_str()));
            return format!("{mark}A machine's client, {}.", self.manner.bold(&client));
        }
        let gone = standing.obstacle.is_some() && (standing.ended.is_some() || !record.can_renew());
        let state = if gone { "No longer signed in" } else { "Signed in" };
        match identity.known_name() {
            Some(name) => format!("{mark}{state} as {}.", self.manner.bold(&plain(name))),
            None => format!("{mark}{state}; the provider did not say as whom."),
        }
    }

    fn until(&self, record: &Record, standing: &Standing) -> String {
        let sign_in = "Run `keyfob login`.";
        match (&standing.ended, standing.expires_at) {
            (Some(ended), Some(end)) if standing.lives => format!(
                "It has ended: {}. Its token may still work until {}. {sign_in}",
                plain(ended.why()),
                self.calendar.ahead(end)
            ),
            (Some(ended), _) => format!("It has ended: {}. {sign_in}", plain(ended.why())),
            (None, None) => "The provider did not say when it ends.".into(),
            (None, Some(end)) if standing.lives => {
                let then = match &record.federated {
                    Some(_) => "then the next identity token is exchanged",
                    None if record.can_renew() => "then it is renewed",
                    None => "and it cannot be renewed",
                };
                format!("Valid until {}; {then}.", self.calendar.ahead(end))
            }
            (None, Some(end)) if !record.can_renew() => {
                format!("It ended {} and cannot be renewed. {sign_in}", self.calendar.ago(end))
            }
            (None, Some(end)) if standing.obstacle.is_some() => {
                format!("Its access token ended {} and cannot be renewed now.", self.calendar.ago(end))
            }
            (None, Some(end)) => {
                format!(
                    "Its access token ended {}; it is renewed when next asked for.",
                    self.calendar.ago(end)
                )
            }
        }
    }

    /// Upcoming problems, a line each.
    fn warnings(&self) -> Vec<String> {
        let survey = &self.found.survey;
        let mut lines = Vec::new();
        let mut add = |line: String| lines.push(format!("{} {line}", self.manner.doubtful("!")));
        if let Some(record) = survey.record.as_deref().filter(|record| record.unknown_now().is_some()) {
            let then = if record.can_renew() {
                ", then the provider is asked again with growing pauses"
            } else {
                ""
            };
            add(format!(
                "The outcome of its last renewal is unknown: the token is used until it expires{then}."
            ));
        }
        let ended = survey
            .standing
            .as_ref()
            .and_then(|s| s.id_token_ends_at)
            .filter(|end| *end <= self.calendar.now());
        let missed = survey.record.as_deref().and_then(|record| record.id_token_missed.as_deref());
        if let (Some(end), Some(missed)) = (ended, missed) {
            add(format!(
                "Its ID token ended {}: {}. `keyfob login` gets another.",
                self.calendar.ago(end),
                plain(missed)
            ));
        }
        if let Some((until, why)) = survey.standing.as_ref().and_then(|standing| standing.paused.as_ref()) {
            add(format!(
                "The provider is not asked again before {}: {}.",
                self.calendar.ahead(*until),
                plain(why)
            ));
        }
        if let Some(line) = self.sealing().filter(|_| survey.winner == Some(Source::Login)) {
            add(line);
        }
        if let Some(line) = self.shadowed() {
            add(line);
        }
        lines
    }

    /// Credentials that are present but not used, by the names under which they were given.
    fn shadowed(&self) -> Option<String> {
        let survey = &self.found.survey;
        let winner = survey.winner?;
        let others: Vec<_> = survey
            .considered
            .iter()
            .filter(|one| one.outcome() == Outcome::Shadowed)
            .map(|one| typed(one.source()))
            .collect();
        let pinned = self.found.client.setup().pinned && winner == Source::Login;
        let why = if pinned {
            format!(
                "profile `{}` was named, and means its login alone",
                self.found.client.setup().profile_name()
            )
        } else {
            format!("{} comes first", typed(winner))
        };
        (!others.is_empty()).then(|| sentence(&format!("not used: {}; {why}", others.join(", "))))
    }

    /// How the stored login is sealed, where that will change: after the next renewal, or after a restart.
    fn sealing(&self) -> Option<String> {
        let (is, will_be) = self.found.client.sealing();
        match (is, will_be) {
            _ if is != will_be => Some(format!(
                "It is {}; from its next renewal on it is {}, as configured.",
                sealed(is),
                sealed(will_be)
            )),
            (Some(KeyStore::Kernel), _) => {
                Some("The kernel forgets the key it is sealed with when this machine restarts.".into())
            }
            _ => None,
        }
    }

    /// Proxies and certificates between this machine and the provider.
    fn surroundings(&self) -> Result<()> {
        let routes = &self.found.client.setup().routes;
        if let Some(proxy) = routes.shown() {
            Report::answer(&format!("HTTPS proxy: {}", plain(&proxy)))?;
        }
        for path in routes.certificates() {
            Report::answer(&format!("Certificates: {}", plain(&path.display().to_string())))?;
        }
        Ok(())
    }

    /// Until when the ID token is good. It is never shown itself.
    fn id_token(&self, end: Timestamp) -> String {
        if end > self.calendar.now() {
            format!("valid until {}", self.calendar.ahead(end))
        } else {
            format!("ended {}", self.calendar.ago(end))
        }
    }

    /// The rest: account, client, scopes, how the login is stored, and every source in its order.
    fn everything(&self) -> Result<()> {
        let (client, survey) = (&self.found.client, &self.found.survey);
        let known = survey.record.as_ref().map(|record| record.identity.clone()).unwrap_or_default();
        let identity = known.overlaid(&client.setup().settings.presets);
        let mut rows = vec![("Account", identity.account_uuid), ("Organisation", identity.organization_uuid)];
        if let Some(record) = &survey.record {
            rows.push(("Client", Some(record.client_id.as_str().to_owned())));
            rows.push((
                "Proves itself",
                client.client_proof(Some(record)).map(|proof| proves_itself(&proof)),
            ));
            rows.push(("Scopes", Some(record.scopes.to_string())));
            let end = survey.standing.as_ref().and_then(|standing| standing.id_token_ends_at);
            rows.push(("ID token", end.map(|end| self.id_token(end))));
            rows.push(("Generation", Some(record.generation.to_string())));
            rows.push(("Stored", Some(sealed(client.sealing().0))));
        }
        Report::answer("")?;
        for (name, value) in rows {
            if let Some(value) = value {
                Report::answer(&format!("{name:<14} {}", plain(&value)))?;
            }
        }
        Report::answer("\nSources, in their order:")?;
        for one in &survey.considered {
            let mark = match one.outcome() {
                Outcome::Here => "*",
                Outcome::Shadowed => "~",
                Outcome::Broken => "!",
                _ => " ",
            };
            let line =
                format!("  {mark} {:<22} {:<9} {}", one.source().name(), one.outcome().word(), one.reason());
            Report::answer(&self.manner.hanging(&line, REASON))?;
        }
        Ok(())
    }
}

/// How far behind the beginning of a line of the table the reason stands, without the two blanks before it.
const REASON: usize = 35;

/// How the client proves itself, and whether what it needs for that is there.
fn proves_itself(proof: &ClientProof) -> String {
    let from = match &proof.at {
        None => return "not at all: it is a public client".into(),
        Some(Place::File(path)) => path,
        Some(Place::Command(_)) => "a command",
    };
    let state = match &proof.usable {
        Some(Ok(())) => ", which can be read".into(),
        Some(Err(error)) => format!("; but {}", error.why()),
        None => String::new(),
    };
    format!("{}, from {from}{state}", proof.method)
}

/// When a credential ends that says so itself.
fn claimed(end: Option<Timestamp>, calendar: &Calendar) -> Option<String> {
    let end = end?;
    Some(if end > calendar.now() {
        format!("is valid until {}", calendar.ahead(end))
    } else {
        format!("ended {}", calendar.ago(end))
    })
}

fn sealed(key: Option<KeyStore>) -> String {
    key.map_or("not sealed".into(), |key| format!("sealed with a key in {}", key.name()))
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let end = if text.ends_with('.') { "" } else { "." };
    first.into_iter().chain(letters).collect::<String>() + end
}
