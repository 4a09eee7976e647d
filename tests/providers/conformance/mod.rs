//! The cases of the OpenID Foundation's conformance programme for relying parties, one test for each module, by its name.
//! What a module sends is rebuilt by a provider of our own; nothing here is the programme, and no run of it is a
//! certification. The table is docs/conformance.md, which `keyfob-core/tests/house.rs` holds to these tests.

mod basic;
mod config;
mod refresh;

use crate::{
    desk::Desk,
    stub::{Manners, Stub},
};

/// A provider with one oddity, and a user who is about to sign in there.
struct Rig {
    stub: Stub,
    desk: Desk,
}

impl Rig {
    fn new(odd: impl FnOnce(&mut Manners)) -> Self {
        let stub = Stub::start(|base| {
            let mut manners = Manners::by_the_book(base);
            odd(&mut manners);
            manners
        });
        let desk = Desk::configured(&format!(
            "environment = \"work\"\n[environments.work]\nissuer = \"{}\"\nclient_id = \"agents\"\n\
             scopes = [\"openid\", \"email\", \"offline_access\"]\n",
            stub.base_url(),
        ));
        Self { stub, desk }
    }

    /// The sign-in goes through: the ID token was checked with the published keys, and UserInfo was asked with the access
    /// token in the header (RFC 6750 §2.1). The account is known.
    #[track_caller]
    fn signs_in(&self) {
        self.desk.login().answer();
        assert_eq!(self.stub.complaints(), [""; 0]);
        assert!(!self.stub.asked("/userinfo").is_empty());
        let status = self.desk.json(&["status", "--json"]);
        assert_eq!(status["identity"]["email"], "ada@company.test", "{status}");
    }

    /// The sign-in ends for this reason: nothing is kept, UserInfo was not asked, and what was granted was revoked.
    #[track_caller]
    fn rejects(&self, why: &str) {
        let ran = self.desk.login();
        assert!(ran.code == Some(5) && ran.err.contains(why), "{ran:?}");
        assert!(self.stub.asked("/userinfo").is_empty(), "{:?}", self.stub.seen());
        assert!(!self.desk.has_login());
        assert_eq!(self.stub.active(), 0, "what was granted was revoked");
        self.desk.run(&["token", "--json"]).failed(4, "login-needed");
    }
}
