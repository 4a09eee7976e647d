//! Renews one login in another process of this program: both the caller's and the worker's side.

use std::{ffi::OsString, path::Path, process::ExitCode};

use keyfob::{
    Error,
    internals::{
        renewal::{Need, Spender, worker},
        setup::{Choices, Setup},
        store::{Lease, Store},
        world::{
            World,
            system::{self, env as environment, files::Disk},
        },
    },
};

use super::task::Task;
use crate::telemetry;

/// The renewal of [`Task::Renew`].
pub(super) fn run(words: &[OsString]) -> ExitCode {
    let setup = Setup::read(environment::variables(), Choices::default(), &Disk, Some(Path::new("/")));
    let mut world = system::world(setup.routes);
    let [metrics, order @ ..] = words else { return worker::work(&world, words) };
    world.observe = telemetry::begin_with(&metrics.to_string_lossy(), setup.settings.presets);
    let code = worker::work(&world, order);
    if let Some(record) = worker::record(&world, order) {
        telemetry::belongs_to(record.identity);
    }
    telemetry::finish();
    code
}

/// Renews in another process of this program, whose path is looked up only then.
pub(crate) struct OwnProcess {
    /// The metrics that the other process may collect.
    pub(crate) metrics: String,
}

impl Spender for OwnProcess {
    fn spend(
        &self,
        world: &World,
        store: &dyn Store,
        lease: Box<dyn Lease + '_>,
        need: &Need,
    ) -> Result<(), Error> {
        telemetry::uses_network();
        let arguments = [Task::Renew.word(), &*self.metrics];
        worker::Worker::this_program(arguments).spend(world, store, lease, need)
    }
}
