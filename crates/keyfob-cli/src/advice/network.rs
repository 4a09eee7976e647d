//! Hints about the connection to the provider and the provider's answers.

use keyfob::internals::core::Cause;

use super::{choice::Choice, situation::Situation};

pub(super) fn choose(cause: &Cause, situation: &Situation) -> Option<Choice> {
    Some(match cause {
        Cause::NameNotFound { host } => {
            format!("check that {host} is spelt right and that this machine is online").into()
        }
        Cause::ConnectionRefused { host } => {
            format!("check that the provider runs at {host}, then try again{}", situation.kept()).into()
        }
        Cause::TooSlow { .. } | Cause::CutOff { .. } => format!("try again{}", situation.kept()).into(),
        Cause::NoConnection { .. } => {
            format!("check the network, then try again; behind a proxy set HTTPS_PROXY{}", situation.kept()).into()
        }
        Cause::ProxyFailed { .. } => "check HTTPS_PROXY, or exempt the provider with NO_PROXY".into(),
        Cause::ProxyPassword { .. } => "put both into the variable: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT".into(),
        Cause::CertificateIssuer { .. } => {
            "if the certificate is your company's, name its authority: SSL_CERT_FILE=/path/ca.pem".into()
        }
        Cause::CertificateExpired { host } => {
            format!("tell whoever runs {host} to renew the certificate, and check this machine's clock").into()
        }
        Cause::CertificateEarly { .. } | Cause::ClockWrong {} => "set this machine's clock".into(),
        Cause::CertificateName { host } => {
            format!("check the address of the provider: what answers there is not {host}").into()
        }
        Cause::CertificateKind { .. } => {
            "make one with `basicConstraints=CA:FALSE`, or let the authority sign another one for the host".into()
        }
        Cause::NoCertificates {} => {
            "install the package ca-certificates, or name a file of them: SSL_CERT_FILE=/path/ca.pem".into()
        }
        Cause::NotTls { .. } => "check the port and `https` in the address of the provider".into(),
        Cause::Busy { seconds, .. } => wait(*seconds, situation),
        Cause::CoolingDown { seconds } => wait(Some(*seconds), situation),
        Cause::Uncertain {} => {
            format!("try again; the provider is asked after growing pauses{}", situation.kept()).into()
        }
        Cause::TokenRejected { .. } if situation.given.command() == "login" => {
            format!("check that all of it was pasted{}", situation.stays()).into()
        }
        Cause::TokenRejected { .. } => "sign in again: `keyfob login`".into(),
        Cause::TokenNotAllowed { .. } => {
            "try it where it is meant to be used: a token without the scope for it cannot ask whose it is".into()
        }
        Cause::RejectedSource { .. } => "replace it, or unset it to use the stored login".into(),
        Cause::RejectedOther {} => "see which one is: `keyfob status`".into(),
        Cause::WouldBeDrained {} => "send a request with it: `keyfob header | curl -H @- URL`".into(),
        Cause::NoSession {} => "name the address: `keyfob connect URL`".into(),
        Cause::ForeignOrigin {} => "connect to the environment's own host".into(),
        Cause::RejectedNewest {} => "look at what the API says in its answer: another token would be rejected as well".into(),
        Cause::IssuerSpelling { environment, configured, told } => {
            let (by, way) = match environment.as_str() {
                // Nothing is configured yet.
                "" => ("you said", format!("say `--issuer {told}`")),
                "custom" => ("the approved list says", format!("write issuer = \"{told}\" there, beside the url")),
                name => {
                    ("the configuration says", format!("write issuer = \"{told}\" in {}", situation.section(name)))
                }
            };
            Choice {
                what: Some("the issuer must be exactly what the provider calls itself".into()),
                why: Some(format!("it says {told}, {by} {configured}")),
                hint: way,
            }
        }
        Cause::NoMetadata { .. } => {
            "check the issuer's address, or set the endpoints in the configuration file; see `keyfob man config`".into()
        }
        _ => return None,
    })
}

fn wait(seconds: Option<i64>, situation: &Situation) -> Choice {
    // Longer than that nobody waits at a prompt; a renewal is tried again soon after the pause.
    let wait = seconds.map_or(60, |seconds| (seconds + 1).clamp(30, 600));
    match situation.given.command() {
        "login" | "init" | "setup-token" => match seconds {
            Some(seconds) => format!("try again in {seconds} s").into(),
            None => "try again in a minute".into(),
        },
        _ => format!("`keyfob token --wait {wait}` waits for you").into(),
    }
}
