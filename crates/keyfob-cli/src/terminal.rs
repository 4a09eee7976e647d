//! What may reach a terminal.

/// Text from outside, made harmless.
pub(crate) fn plain(text: &str) -> String {
    keyfob::core::error::escape(text)
}

/// Text of any length from outside, made harmless.
pub(crate) fn plain_whole(text: &str) -> String {
    keyfob::core::error::escape_whole(text)
}
