//! Sends one request with the credential this user has: `cargo run --example bearer_header -- URL`.

use keyfob::{Client, Purpose};

#[expect(clippy::disallowed_methods, reason = "the secret goes into the header of the request")]
#[expect(clippy::print_stdout, reason = "the answer is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: bearer_header URL")?;
    // The variables, the configuration and the logins of whoever runs this.
    let client = Client::from_env()?;
    let origin = url::Url::parse(&url)?.origin().ascii_serialization();
    if !client.may_go_to(Purpose::Api, &origin)? {
        return Err(format!("the credential is not for {origin}").into());
    }
    // From the environment or from a login; one that is about to expire is renewed first.
    let grant = client.grant(Purpose::Api)?;
    let mut request = ureq::get(&url);
    for (name, value) in grant.headers() {
        request = request.header(name, value.expose());
    }
    println!("{}", request.call()?.body_mut().read_to_string()?);
    Ok(())
}
