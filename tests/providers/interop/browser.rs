//! A minimal browser, sufficient for the provider's pages: cookies, redirects, forms. It fills in the fields of each
//! form.

use std::{cell::RefCell, collections::BTreeMap};

use ureq::{Agent, Body, http::Response};
use url::Url;

pub(super) struct Browser {
    agent: Agent,
    cookies: RefCell<BTreeMap<String, String>>,
    /// The input for the fields of these names.
    answers: Vec<(&'static str, String)>,
    refuses: bool,
}

impl Browser {
    /// A user who signs in by this name and consents to everything.
    pub(super) fn new(name: &str) -> Self {
        // Redirects one by one: each may bring cookies.
        let config = Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        Self {
            agent: config.build().new_agent(),
            cookies: RefCell::default(),
            answers: vec![("login", name.to_owned()), ("password", "any will do".to_owned())],
            refuses: false,
        }
    }

    /// The same person with a code from another device.
    pub(super) fn typing(name: &str, code: &str) -> Self {
        let mut browser = Self::new(name);
        browser.answers.push(("user_code", code.to_owned()));
        browser
    }

    /// A user who clicks on "cancel" as soon as a page has that.
    pub(super) fn refusing(self) -> Self {
        Self { refuses: true, ..self }
    }

    /// Opens an address and does what the pages ask, until one asks nothing more.
    pub(super) fn open(&self, url: &str) {
        let mut at = Url::parse(url).expect("an address");
        let mut answer = self.get(&at);
        let mut said_no = false;
        for _ in 0..20 {
            if let Some(to) = answer.headers().get("Location") {
                at = at.join(to.to_str().expect("text")).expect("an address");
                answer = self.get(&at);
                continue;
            }
            let status = answer.status();
            let page = answer.body_mut().read_to_string().expect("a page");
            assert!(status.is_success() || status.as_u16() == 400, "{at}: {status}");
            let form = page.split("<form").nth(1).and_then(|rest| rest.split("</form>").next());
            let Some(form) = form.filter(|_| !said_no) else { return };
            let abort = page.split("href=\"").skip(1).find(|link| link.contains("/abort\""));
            if let (Some(abort), true) = (abort, self.refuses) {
                said_no = true;
                at = at.join(abort.split('"').next().expect("a link")).expect("an address");
                answer = self.get(&at);
                continue;
            }
            at = at.join(attribute(form, "action").expect("an action")).expect("an address");
            answer = self.post(&at, &self.filled(form));
        }
        panic!("no end of pages at {at}");
    }

    fn filled(&self, form: &str) -> String {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input").skip(1) {
            let Some(name) = attribute(input, "name") else { continue };
            let typed = self.answers.iter().find(|(field, _)| *field == name).map(|(_, text)| text.as_str());
            body.append_pair(name, attribute(input, "value").or(typed).unwrap_or(""));
        }
        body.finish()
    }

    fn get(&self, url: &Url) -> Response<Body> {
        let request = self.agent.get(url.as_str()).header("Cookie", self.jar());
        self.taken(request.call().expect("an answer"))
    }

    fn post(&self, url: &Url, body: &str) -> Response<Body> {
        let request = self.agent.post(url.as_str()).header("Cookie", self.jar());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.taken(request.send(body).expect("an answer"))
    }

    fn jar(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn taken(&self, answer: Response<Body>) -> Response<Body> {
        for cookie in answer.headers().get_all("Set-Cookie") {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or("");
            let (name, value) = pair.split_once('=').expect("a cookie");
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// The value of an attribute in the tag that text begins with.
fn attribute<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let tag = text.split('>').next()?;
    tag.split_once(&format!("{name}=\""))?.1.split('"').next()
}
