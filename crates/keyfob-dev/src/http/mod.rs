//! What all requests and responses have in common.

pub(crate) mod base;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod ending;
pub(crate) mod flags;
pub(crate) mod form;
pub(crate) mod sockets;
