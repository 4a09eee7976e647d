//! A stored login: its record, its account, when it is renewed, and its sealed form.

pub mod due;
pub mod federated;
pub mod identity;
pub mod record;
pub mod refresh;
pub mod sealed;
pub mod stored;
