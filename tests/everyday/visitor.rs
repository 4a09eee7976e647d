//! A user at a browser, as far as it matters to the command.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Output, Stdio},
};

/// Runs a `login --no-browser` and follows it: opens the URL and its redirects. What comes of it the command says: nobody
/// waits for the last page as long as a busy machine may need to ask for it.
pub(crate) fn follow(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    if command.get_args().any(|word| word == "--json") {
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut said, event) = keyfob_testkit::event(&mut messages);
        let _ = agent.get(event["url"].as_str().expect("an address")).call();
        messages.read_to_string(&mut said).expect("the rest of its messages");
        return Output { stderr: said.into(), ..child.wait_with_output().expect("it ends") };
    }
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("an address");
    let _ = agent.get(line.trim()).call();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("the rest of its answer");
    let output = child.wait_with_output().expect("it ends");
    Output { stdout: rest, ..output }
}

/// The answer of the sign-in page for this address: where it sends the browser.
pub(crate) struct Answer {
    pub(crate) url: String,
}

impl Answer {
    /// Signs in. The provider approves by itself; the redirect is not followed.
    pub(crate) fn of(address: &str) -> Self {
        let agent = ureq::Agent::config_builder().proxy(None).max_redirects(0).build().new_agent();
        let next = |address: &str| {
            let reply = agent.get(address).call().expect("the sign-in page");
            let location = reply.headers().get("location").expect("a redirect");
            location.to_str().expect("text").to_owned()
        };
        // What a browser of this machine is given leads to the sign-in page.
        if address.contains("/open/") {
            Self { url: next(&next(address)) }
        } else {
            Self { url: next(address) }
        }
    }

    pub(crate) fn query(&self) -> &str {
        self.url.split_once('?').expect("a query").1
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        let found = url::form_urlencoded::parse(self.query().as_bytes()).find(|(known, _)| known == name);
        found.expect("the parameter").1.into_owned()
    }

    /// The code that the page shows for copying.
    pub(crate) fn shown(&self) -> String {
        format!("{}#{}", self.parameter("code"), self.parameter("state"))
    }

    /// Where the callback listens.
    pub(crate) fn authority(&self) -> &str {
        self.url.split('/').nth(2).expect("an authority")
    }

    /// Sends what is written here to the callback, with `HOST` for its authority and `QUERY` for the answer. The
    /// whole reply.
    pub(crate) fn send(&self, head: &str) -> String {
        reply(self.asks(head))
    }

    fn asks(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.authority()).expect("somebody listens");
        let head = head.replace("HOST", self.authority()).replace("QUERY", self.query());
        stream.write_all(format!("{head}\r\n\r\n").as_bytes()).expect("it reads");
        stream
    }

    /// Goes where the page sends the browser, to the end. The title of the last page.
    pub(crate) fn follow(&self) -> String {
        self.come().follow()
    }

    /// Brings the answer to the callback, and does not wait for what comes of it. Whatever happens to the sign-in from now
    /// on, this tab is there.
    pub(crate) fn come(&self) -> Tab<'_> {
        Tab { answer: self, stream: self.asks("GET /callback?QUERY HTTP/1.1\r\nHost: HOST") }
    }
}

fn reply(mut stream: TcpStream) -> String {
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    reply
}

/// A tab that has come to the callback.
pub(crate) struct Tab<'a> {
    answer: &'a Answer,
    stream: TcpStream,
}

impl Tab<'_> {
    /// Goes where it is sent, to the end. The title of the last page.
    pub(crate) fn follow(self) -> String {
        let reply = reply(self.stream);
        let location = reply.lines().find_map(|line| line.strip_prefix("Location: "));
        let location = location.unwrap_or_else(|| panic!("not sent on: {reply}"));
        let page = self.answer.send(&format!("GET {location} HTTP/1.1\r\nHost: HOST"));
        let title = page.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
        title.unwrap_or_else(|| panic!("no page: {page}")).0.to_owned()
    }
}
