//! The login that stands in a store when a test begins.

use keyfob::{
    Secret, Timestamp,
    internals::{
        core::{
            ProviderTime, Record,
            contract::settings::ClientId,
            login::record::{Generation, Login},
            provider::Endpoints,
        },
        world::simulated::Machine,
    },
};

/// A login of this family at the machine's provider, whose access token was issued at `issued`.
pub(crate) fn login(machine: &mut Machine, family: u8, issued: i64) -> Record {
    let (access, refresh) = machine.server.mint(family.into(), Timestamp(issued));
    let client_id = ClientId::parse("keyfob-local").unwrap();
    let login = Login {
        profile: "default",
        environment: "local",
        issuer: "https://provider.example",
        client_id: &client_id,
    };
    Record {
        endpoints: Endpoints {
            token_url: Some("https://provider.example/token".into()),
            ..Endpoints::default()
        },
        access_token: Some(Secret::new(access)),
        refresh_token: Some(Secret::new(refresh)),
        expires_at: Some(ProviderTime(issued + 3600)),
        ..Record::begin(Generation::new([family; 16], 0), &login, ProviderTime(issued))
    }
}
