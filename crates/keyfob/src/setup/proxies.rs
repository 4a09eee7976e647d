//! Reads the proxies that the environment names, and with the certificates makes them the routes of a run.

use keyfob_core::{Error, Id, Result, contract::Variables};
use ureq::ProxyProtocol;

use crate::{
    setup::{certificates, code, trust::Surroundings},
    world::system::routes::Routes,
};

/// What the variables say.
pub(crate) fn read(variables: &Variables, around: &Surroundings) -> Routes {
    // Both spellings are in use; the one in capitals is the documented one.
    let either = |upper: &'static str| {
        let lower = upper.to_ascii_lowercase();
        let text = variables.text(upper).or_else(|| variables.text(&lower))?;
        Some((upper, text.to_owned()))
    };
    let mut problems = Vec::new();
    let mut parsed = |named: Option<(&str, String)>| {
        let (name, text) = named?;
        parse(name, &text).map_err(|error| problems.push(error)).ok()
    };
    let proxy = parsed(either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")));
    // Nothing goes through it: http is for loopback alone. It is checked and reported anyway.
    parsed(either("HTTP_PROXY"));
    let direct = either("NO_PROXY").map(|(_, list)| list);
    let roots = certificates::read(variables, around, &mut problems);
    let out = match Error::all(problems) {
        Some(error) => Err(error),
        None => Ok((proxy, direct, roots)),
    };
    Routes::new(out, code::session_bus(variables, around))
}

fn parse(name: &str, text: &str) -> Result<ureq::Proxy> {
    let wrong = |why| Error::new(Id::ProxyMalformed, format!("{name} is malformed"), why);
    // What follows the last colon of the authority is a port, or there is none; the library takes what does not fit for a
    // part of the host.
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some((_, port)) = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'))
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Err(wrong("expected a port from 1 to 65535 behind its last colon"));
    }
    let proxy = ureq::Proxy::new(text).map_err(|_| wrong("it is not the address of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(wrong("only http and https proxies are known here, no SOCKS")),
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::Uri;

    use super::*;

    fn routes(set: &[(&str, &str)]) -> Routes {
        let variables =
            set.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        read(&variables, &Surroundings::of(Some(std::path::Path::new("/"))))
    }

    /// Set to the empty text is unset: the system's certificates are believed, and no proxy is asked.
    #[test]
    fn the_empty_text_names_nothing() {
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            let routes = routes(&[(name, "")]);
            assert!(routes.check().is_ok() && routes.certificates().is_empty(), "{name}");
            assert_eq!(routes.shown(), None, "{name}");
        }
    }

    fn with(proxy: &str) -> Routes {
        routes(&[("HTTPS_PROXY", proxy)])
    }

    #[test]
    fn proxies_are_checked_before_use() {
        for right in ["http://proxy.example:3128", "https://proxy.example", "proxy.example:3128"] {
            assert!(with(right).check().is_ok(), "{right}");
        }
        for wrong in [
            "http://proxy.example:99999",
            "http://ada:hunter2@proxy.example:0",
            "http://proxy.example:port",
            "::nonsense::",
            "socks5://proxy.example:1080",
            "ftp://proxy.example",
        ] {
            let error = with(wrong).check().expect_err(wrong);
            assert_eq!(error.id(), Id::ProxyMalformed, "{wrong}");
            assert!(!error.to_string().contains(wrong), "it may hold a password");
        }
    }

    #[test]
    fn all_proxy_is_for_whom_no_other_is_named() {
        assert!(routes(&[("ALL_PROXY", "http://all.example:1")]).shown().unwrap().contains("all.example"));
        let both = routes(&[("all_proxy", "socks5://x"), ("https_proxy", "http://https.example:1")]);
        assert!(both.shown().unwrap().contains("https.example"));
        assert_eq!(
            routes(&[("ALL_PROXY", "socks5://x")]).check().expect_err("socks").id(),
            Id::ProxyMalformed
        );
    }

    /// What was refused is not there to be used: not for a request, not for a report, not on loopback.
    #[test]
    fn nothing_leads_out_past_what_was_refused() {
        for (set, id) in [
            (("SSL_CERT_FILE", "/nowhere/ca.pem"), Id::CaFileMalformed),
            (("SSL_CERT_DIR", "relative"), Id::CaFileMalformed),
            (("HTTPS_PROXY", "socks5://x"), Id::ProxyMalformed),
            (("HTTP_PROXY", "socks5://x"), Id::ProxyMalformed),
        ] {
            let routes = routes(&[set]);
            assert_eq!(routes.check().expect_err(set.0).id(), id);
            for url in ["https://provider.example/", "http://127.0.0.1:1/"] {
                let uri: Uri = url.parse().unwrap();
                for way in [routes.way(&uri), routes.way_to_collector(&uri)] {
                    let no = way.err().expect(set.0);
                    assert!(!no.sent && no.why.contains(set.0), "{no:?}");
                }
            }
        }
        let uri: Uri = "http://collector.example/".parse().unwrap();
        assert!(routes(&[]).way(&uri).is_err() && routes(&[]).way_to_collector(&uri).is_ok());
    }

    #[test]
    fn a_proxys_password_is_never_shown() {
        let routes = with("http://ada:hunter2@proxy.example:3128");
        assert_eq!(routes.shown().as_deref(), Some("http://proxy.example:3128"));
        assert!(!format!("{routes:?}").contains("hunter2"));
    }

    #[test]
    fn loopback_is_never_proxied() {
        let routes = with("http://proxy.example:3128");
        let proxied = |host: &str| {
            let uri: Uri = format!("https://{host}/").parse().unwrap();
            routes.way(&uri).expect("a way").proxy.is_some()
        };
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(!proxied(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example", "128.0.0.1", "[::2]"] {
            assert!(proxied(host), "{host}");
        }
    }
}
