//! `keyfob setup kubernetes`: a user in the kubeconfig whose credential is the ID token of the login.

use std::path::{Path, PathBuf};

use keyfob::{
    Error, Purpose,
    internals::{core::Id, world::system::env},
};

use super::{
    kubeconfig::{self, Odd, User},
    place::{command, judged},
    tool::{Tool, chosen},
};
use crate::{
    advice::quoted,
    args::{Global, Kubernetes as Arguments},
    output::terminal::plain,
    session,
};

pub(super) struct Kubernetes<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a Arguments,
}

const USUAL: &str = ".kube/config";

impl Tool for Kubernetes<'_> {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    /// As kubectl finds it: the flag, the variable, the home.
    fn file(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.args.kubeconfig {
            return judged(path.clone(), "--kubeconfig", None);
        }
        let variables = env::variables();
        if let Some(path) = env::path(variables, "KUBECONFIG") {
            // A list of files, of which kubectl itself changes the first that has what is to be changed.
            if path.to_string_lossy().contains(':') {
                let why = "one has to be chosen to write to";
                return Err(Error::new(Id::Usage, "KUBECONFIG names several files", why)
                    .hint("name it: `keyfob setup kubernetes --kubeconfig FILE`"));
            }
            return judged(path, "KUBECONFIG", Some(USUAL));
        }
        let home = env::path(variables, "HOME").filter(|home| home.is_absolute()).ok_or_else(|| {
            Error::new(Id::NoHome, "there is no place for a kubeconfig", "HOME is unset")
                .hint("name it: `keyfob setup kubernetes --kubeconfig FILE`")
        })?;
        judged(home.join(USUAL), "HOME", Some(USUAL))
    }

    /// client-go creates it next to the file while it writes (`clientcmd`, `lockFile`).
    fn lock(&self, file: &Path) -> Option<PathBuf> {
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        Some(name.into())
    }

    fn change(&self, _file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let user = self.user()?;
        let changed =
            if undo { kubeconfig::without(text, &user.name) } else { kubeconfig::with(text, &user) };
        changed.map_err(|odd| {
            let name = plain(&user.name);
            let what = format!("the kubeconfig cannot be given the user `{name}`");
            match odd {
                Odd::Form(why) => Error::new(Id::Usage, what, why).hint(
                    "add the user yourself, as `keyfob man setup kubernetes` shows it, or name another file: \
                     `--kubeconfig FILE`",
                ),
                Odd::Taken if undo => {
                    Error::new(Id::Usage, format!("the user `{name}` is left as it is"), NOT_OURS)
                        .hint("name the one that keyfob wrote: `--user NAME`")
                }
                Odd::Taken => {
                    Error::new(Id::Usage, what, NOT_OURS).hint("choose another name: `--user NAME`")
                }
            }
        })
    }

    fn part(&self) -> Result<String, Error> {
        Ok(kubeconfig::own(&self.user()?))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        let name = quoted(&self.args.user);
        if undo {
            return vec![format!(
                "A context that still names the user `{}` needs another one.",
                plain(&self.args.user)
            )];
        }
        let mut next =
            vec![format!("Let a context use it: kubectl config set-context --current --user={name}")];
        if !self.args.access_token && self.has_none() {
            next.push(
                "Note: the login has no ID token yet. Add `openid` to the scopes of its environment and sign in again, or run \
                 this with `--access-token`."
                    .into(),
            );
        }
        next
    }
}

const NOT_OURS: &str = "a user of that name is there already, and is not keyfob's";

impl Kubernetes<'_> {
    fn user(&self) -> Result<User, Error> {
        Ok(User {
            name: self.args.user.clone(),
            command: command(),
            args: self.words()?,
            names_cluster: self.args.only_hosts,
        })
    }

    /// The arguments that kubectl runs the command with.
    fn words(&self) -> Result<Vec<String>, Error> {
        let mut words = chosen(self.global)?;
        words.extend(["token", "--format", "kubernetes"].map(str::to_owned));
        words.extend(self.args.access_token.then(|| "--access-token".to_owned()));
        Ok(words)
    }

    /// Whether there is a login, and it was made without asking for an ID token.
    fn has_none(&self) -> bool {
        let client = session::client(self.global, session::setup(self.global));
        client.survey(Purpose::IdToken).record.is_some_and(|record| {
            record.id_token.is_none() && !record.scopes.iter().any(|scope| scope == "openid")
        })
    }
}
