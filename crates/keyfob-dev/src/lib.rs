//! An OAuth 2.0 authorization server for development and tests.
