//! The orders for a process that renews: written to its arguments, and read from them, only here.
//!
//! Paths are passed as octets: a home directory need not be UTF-8. Nothing in an order is secret.

use std::{ffi::OsString, fmt, path::PathBuf};

use keyfob_core::login::{record::Generation, sealed::KeyStore};

use crate::{renewal::Need, store::HandOver};

/// An order to renew one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where its record is stored.
    pub record: PathBuf,
    /// Seconds its access token must be good for.
    pub min_valid: i64,
    /// The generation an API answered 401 to.
    pub rejected: Option<Generation>,
    /// Whether it is the ID token that must be good.
    pub id_token: bool,
    /// What has the key it is to be sealed with.
    pub seals_with: Option<KeyStore>,
    /// The directories that may take a recovery file besides its own.
    pub spare: Vec<PathBuf>,
}

/// Which argument is no part of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// There are too few.
    Missing,
    /// The second.
    MinValid,
    /// The third.
    Rejected,
    /// The fourth.
    SealsWith,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "its arguments are missing",
            Self::MinValid => "its second argument is not a number",
            Self::Rejected => "its third argument is no generation (LOGIN:GENERATION)",
            Self::SealsWith => "its fourth argument is no key store",
        })
    }
}

/// The word for a login that is not sealed.
const PLAIN: &str = "file";
/// What stands before the seconds if they are the ID token's.
const ID_TOKEN: &str = "id-token:";

impl Order {
    /// The order to renew the login whose lease is handed over.
    #[must_use]
    pub fn new(handed: &HandOver, need: &Need) -> Self {
        Self {
            record: handed.record.clone(),
            min_valid: need.min_valid,
            rejected: need.rejected.clone(),
            id_token: need.id_token,
            seals_with: handed.seals_with,
            spare: handed.spare.clone(),
        }
    }

    /// What the caller needs of the login.
    #[must_use]
    pub fn need(&self) -> Need {
        Need {
            min_valid: self.min_valid,
            rejected: self.rejected.clone(),
            id_token: self.id_token,
            ..Need::default()
        }
    }

    /// As arguments.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let rejected = self.rejected.as_ref().map_or(String::new(), ToString::to_string);
        let seals_with = self.seals_with.map_or(PLAIN, KeyStore::word);
        let mut args = vec![
            self.record.clone().into(),
            format!("{}{}", if self.id_token { ID_TOKEN } else { "" }, self.min_valid).into(),
            rejected.into(),
            seals_with.into(),
        ];
        args.extend(self.spare.iter().map(Into::into));
        args
    }

    /// From arguments.
    ///
    /// # Errors
    /// Which of them is no part of an order.
    pub fn from_args(args: &[OsString]) -> Result<Self, Misuse> {
        let [record, min_valid, rejected, seals_with, spare @ ..] = args else {
            return Err(Misuse::Missing);
        };
        let min_valid = min_valid.to_str().ok_or(Misuse::MinValid)?;
        let of_id_token = min_valid.strip_prefix(ID_TOKEN);
        Ok(Self {
            record: record.into(),
            min_valid: of_id_token.unwrap_or(min_valid).parse().map_err(|_| Misuse::MinValid)?,
            id_token: of_id_token.is_some(),
            rejected: match rejected.to_str().ok_or(Misuse::Rejected)? {
                "" => None,
                text => Some(text.parse().map_err(|_| Misuse::Rejected)?),
            },
            seals_with: match seals_with.to_str().ok_or(Misuse::SealsWith)? {
                PLAIN => None,
                word => Some(KeyStore::from_word(word).ok_or(Misuse::SealsWith)?),
            },
            spare: spare.iter().map(PathBuf::from).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let odd = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let plain = Order {
            record: "/home/ada/default.json".into(),
            min_valid: 0,
            rejected: None,
            id_token: false,
            seals_with: None,
            spare: Vec::new(),
        };
        let whole = Order {
            record: odd(b"/h\xf6me/ada/de fault.json"),
            min_valid: i64::MAX,
            rejected: Some(Generation::new([7; 16], 12)),
            id_token: true,
            seals_with: Some(KeyStore::Kernel),
            spare: vec![odd(b"/r\xfcn/keyfob"), "/run/keyfob".into()],
        };
        for order in [plain, whole] {
            assert_eq!(Order::from_args(&order.to_args()).as_ref(), Ok(&order));
            let need = order.need();
            assert_eq!(
                (need.min_valid, need.rejected, need.id_token),
                (order.min_valid, order.rejected, order.id_token)
            );
        }
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for (words, wrong) in [
            (args(&["/a.json", "0", ""]), Misuse::Missing),
            (args(&["/a.json", "soon", "", "file"]), Misuse::MinValid),
            (args(&["/a.json", "0", "x", "file"]), Misuse::Rejected),
            (args(&["/a.json", "0", "", "safe"]), Misuse::SealsWith),
        ] {
            assert_eq!(Order::from_args(&words), Err(wrong), "{words:?}");
        }
    }
}
