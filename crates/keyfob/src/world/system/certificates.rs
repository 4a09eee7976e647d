//! Loads CA certificates for TLS: the system's, or those that were named instead.
//!
//! The environment is not read when a connection is made: the certificates were checked once, and those that were
//! refused are no longer available.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use ureq::tls::{Certificate, RootCerts};

use crate::world::system::owners;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Roots {
    /// None: for what never leaves this machine.
    #[default]
    Nobodys,
    /// Those this system came with.
    System,
    /// Those in these files, and in the files of these directories.
    Named(Vec<PathBuf>),
}

impl Roots {
    /// The file and directories that were named and accepted, for reports.
    pub(crate) fn named(&self) -> &[PathBuf] {
        match self {
            Self::Named(paths) => paths,
            _ => &[],
        }
    }

    /// Reads them. That takes longer than a whole `keyfob token`, and is done when TLS is first spoken.
    ///
    /// # Errors
    /// There is none to believe.
    pub(crate) fn load(&self) -> Result<RootCerts, String> {
        let paths = match self {
            Self::Nobodys => return Ok(RootCerts::new_with_certs(&[])),
            Self::System => match system() {
                Some(paths) => paths,
                None => return Ok(RootCerts::PlatformVerifier),
            },
            Self::Named(paths) => paths.clone(),
        };
        // What the system came with is the system's affair.
        let trusted = |meta: &Metadata| matches!(self, Self::System) || owners::whose(meta).is_ok();
        let certificates: Vec<_> = paths.iter().flat_map(|path| in_path(path, &trusted)).collect();
        if certificates.is_empty() {
            return Err("no certificates to trust were found (SSL_CERT_FILE)".into());
        }
        Ok(RootCerts::from(certificates.into_iter()))
    }
}

/// Where this system keeps its certificates. `None`: it verifies them itself.
fn system() -> Option<Vec<PathBuf>> {
    if cfg!(any(target_vendor = "apple", windows, target_os = "android")) {
        return None;
    }
    // Neither variable has a value here: what this library finds is the system's.
    let found = openssl_probe::probe();
    Some(found.cert_file.into_iter().chain(found.cert_dir).collect())
}

fn in_path(path: &Path, trusted: &dyn Fn(&Metadata) -> bool) -> Vec<Certificate<'static>> {
    let read = |file: &Path| {
        let is_right = |meta: &Metadata| meta.is_file() && trusted(meta);
        let pem = fs::metadata(file).is_ok_and(|meta| is_right(&meta)).then(|| fs::read(file).ok()).flatten();
        pem.map(|pem| parse(&pem)).unwrap_or_default()
    };
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().flat_map(|entry| read(&entry.path())).collect(),
        Err(_) => read(path),
    }
}

/// Every certificate of a PEM file (RFC 7468) that can be read; the others are passed over. OpenSSL's form with trust
/// settings behind each certificate counts too.
fn parse(pem: &[u8]) -> Vec<Certificate<'static>> {
    let text = String::from_utf8_lossy(pem).replace(" TRUSTED CERTIFICATE-----", " CERTIFICATE-----");
    let whole = CertificateDer::pem_slice_iter(text.as_bytes()).flatten();
    whole.map(|der| Certificate::from_der(first_element(&der)).to_owned()).collect()
}

/// The first DER element, without what follows it (X.690 §8.1.3).
fn first_element(der: &[u8]) -> &[u8] {
    let length = match der {
        [_, short, ..] if *short < 0x80 => Some(2 + usize::from(*short)),
        [_, long, rest @ ..] => {
            let octets = usize::from(*long & 0x7f);
            let number = rest.get(..octets).filter(|_| octets <= 3);
            number
                .map(|number| 2 + octets + number.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        }
        _ => None,
    };
    length.and_then(|length| der.get(..length)).unwrap_or(der)
}
