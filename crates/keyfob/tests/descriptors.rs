//! A host that embeds the library: a number in a variable may be one of its own files, so it opts in to descriptors, or
//! hands one over as a value.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{Read, Write, pipe},
    os::fd::{AsRawFd, IntoRawFd},
    sync::Arc,
};

use keyfob::{
    Client, Purpose, Source,
    internals::{
        core::Id,
        core::contract::{Variables, names},
        renewal::InThread,
        setup::{Choices, Setup},
        world::system::{self, files::Disk},
    },
};

fn client(number: Option<i32>, choices: Choices) -> Client {
    let variables: Variables = number
        .into_iter()
        .map(|number| (names::OAUTH_DESCRIPTOR.to_owned(), Some(number.to_string())))
        .collect();
    let home = tempfile::tempdir().unwrap();
    let choices = choices.home(home.path().join("keyfob"));
    let setup = Setup::read(&variables, choices, &Disk, None);
    assert!(setup.problems.is_empty(), "{:?}", setup.problems);
    let world = system::world(setup.routes.clone());
    Client::with(setup, world, Arc::new(InThread))
}

#[test]
fn a_number_is_left_alone_unless_the_host_says_so() {
    let (mut ours, mut writer) = pipe().unwrap();
    writer.write_all(b"the-token").unwrap();
    drop(writer);
    let error = client(Some(ours.as_raw_fd()), Choices::new()).grant(Purpose::Api).unwrap_err();
    assert_eq!(error.id(), Id::DescriptorUnusable);
    assert!(error.why().contains("did not allow"), "{error}");
    let mut kept = String::new();
    ours.read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "the-token", "it was the host's own file, and nobody read it");
}

#[test]
fn a_host_that_opts_in_or_hands_one_over_gets_its_credential() {
    for way in ["by number", "as a value", "as a value, without the variable"] {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"the-token\n").unwrap();
        drop(writer);
        let client = match way {
            "by number" => client(Some(reader.into_raw_fd()), Choices::new().inherit_descriptors(true)),
            "as a value" => client(Some(reader.as_raw_fd()), Choices::new().oauth_token_on(reader)),
            _ => client(None, Choices::new().oauth_token_on(reader)),
        };
        // Read once, then kept: it answers again.
        for _ in 0..2 {
            let grant = client.grant(Purpose::Api).unwrap();
            assert_eq!(grant.source(), Source::OauthTokenDescriptor, "{way}");
            assert!(grant.credential().same_as("the-token"));
        }
    }
}
