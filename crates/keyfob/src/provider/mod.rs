//! What is asked of a provider besides tokens.

pub(crate) mod discovery;
