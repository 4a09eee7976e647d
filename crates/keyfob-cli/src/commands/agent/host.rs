//! What an agent is told by this command: the time, what is known of a login, and words for people.

use std::{collections::BTreeMap, time::Duration};

use keyfob::{
    Client, Error, Purpose, Source, Timestamp,
    internals::world::{Clock as _, system::clock::SystemClock},
};
use keyfob_serve::{Counts, Host, Known, Told, Traffic};

use crate::{advice, output::report::Report, telemetry};

/// What the agent asks of this command.
pub(crate) struct ThisCommand;

impl Host for ThisCommand {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn told(&self, error: &Error) -> Told {
        let told = advice::told(error);
        Told { what: told.what, why: told.why, hint: told.hint }
    }

    fn source(&self, client: &Client) -> Option<Source> {
        client.winner(Purpose::Api)
    }

    fn mark(&self, client: &Client) -> Option<[i64; 5]> {
        client.mark()
    }

    fn known(&self, client: &Client) -> Known {
        let survey = client.survey(Purpose::Api);
        let standing = survey.standing.as_ref();
        let obstacle =
            standing.and_then(|standing| standing.obstacle.clone().or_else(|| standing.ended.clone()));
        let identity = survey.record.as_ref().map(|record| record.identity.clone()).unwrap_or_default();
        let identity = identity.overlaid(&client.setup().settings.presets);
        Known {
            account: identity.known_name().map(ToString::to_string),
            source: survey.winner,
            generation: survey.record.as_ref().map(|record| record.generation.clone()),
            expires_at: standing.and_then(|standing| standing.expires_at),
            problem: survey.broken.or(survey.nobody).or(obstacle),
        }
    }

    fn warn(&self, error: &Error) {
        // Not kept for an answer: there is none any more.
        Report::tell(error);
    }

    fn counts_every(&self) -> Option<Duration> {
        telemetry::interval()
    }

    fn count(&self, doors: &[(String, Counts)]) {
        let of_door = |(door, counts): &(String, Counts)| telemetry::AtDoor {
            door: door.clone(),
            handed_out: counts.handed_out,
            refused: counts.refused.iter().map(|(id, number)| ((*id).to_owned(), *number)).collect(),
            renewed: counts.renewed,
        };
        telemetry::at_doors(doors.iter().map(of_door).collect());
        telemetry::finish();
    }

    fn count_traffic(&self, origins: &[(String, Traffic)]) {
        let owned = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect()
        };
        let of_origin = |(origin, traffic): &(String, Traffic)| telemetry::ToOrigin {
            origin: origin.clone(),
            answered: owned(&traffic.answered),
            refused: owned(&traffic.refused),
            renewed: traffic.renewed,
            open: traffic.open,
        };
        telemetry::to_origins(origins.iter().map(of_origin).collect());
        telemetry::finish();
    }
}
