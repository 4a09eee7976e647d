//! What the command and the tests of this workspace use beyond the documented names. **Not an interface**: anything in
//! here may change or disappear in any release, also in a patch.

pub use keyfob_core as core;

/// See `src/credential`.
pub mod credential {
    pub use crate::credential::*;
}
/// See `src/doctor`.
pub mod doctor {
    pub use crate::doctor::*;
}
/// See `src/login`.
pub mod login {
    pub use crate::login::*;
}
/// See `src/logout`.
pub mod logout {
    pub use crate::logout::*;
}
/// See `src/profiles`.
pub mod profiles {
    pub use crate::profiles::*;
}
/// See `src/provider`.
pub mod provider {
    pub use crate::provider::{discovery::offer, *};
}
/// See `src/remote`.
pub mod remote {
    pub use crate::remote::*;
}
/// See `src/renewal`.
pub mod renewal {
    pub use crate::renewal::*;
}
/// See `src/setup`.
pub mod setup {
    pub use crate::setup::*;
}
/// See `src/store`.
pub mod store {
    pub use crate::store::*;
}
/// See `src/trusted_device`.
pub mod trusted_device {
    pub use crate::trusted_device::*;
}
/// See `src/world`.
pub mod world {
    pub use crate::world::*;
}
