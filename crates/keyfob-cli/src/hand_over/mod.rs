//! Hands a credential over: gets it, reports what it shadows, and writes it in a program's own format.

pub(crate) mod answer;
pub(crate) mod formats;
pub(crate) mod grant;
pub(crate) mod lent;
mod minted;
pub(crate) mod shadows;
