//! What a command does beyond its one line in the help: for readers of its page.

/// The paragraphs about the command of this page.
pub(super) fn of(page: &str) -> &'static [&'static str] {
    match page {
        "keyfob" => &[
            "keyfob signs in once with OAuth 2.0, stores the login, renews it, and hands every program on the machine a valid \
             credential. However many processes ask at once, a refresh token is spent once; a renewal outlives the program \
             that asked for it; and nothing but the provider's word ends a login.",
            "Results are on standard output, and nothing else is. Messages for people are on standard error. Every error says in \
             three lines what failed, why, and one thing to do: keyfob-errors(7).",
        ],
        "keyfob-init" => &[
            "Asks the provider of the issuer what it offers, says what it found, writes an environment into the configuration file, \
             names the redirect address to register, and signs in. What the command line leaves open is asked at a terminal; \
             where there is none, the two flags `--issuer` and `--client-id` are needed, and nothing is asked.",
            "The file is replaced at once, after the new text has been read as it will be read later. A link is not written through. An \
             environment of this name that says something else is left, unless `--replace` says to change it; then the endpoints of \
             another issuer go with it. The first environment becomes the default. Where a variable of the contract would lead the \
             sign-in elsewhere, nothing is written: unset it, or say `--no-login`.",
        ],
        "keyfob-inspect" => &[
            "Shows what a JWT says, from standard input: with or without `Bearer ` or `Authorization:` before it. Only a signature says who \
             wrote it. It is verified with the keys of its issuer if an environment of the configuration or a stored login is of that \
             issuer, by its metadata, or with `--jwks`; no address in the token itself is asked. Audience and purpose are the \
             reader's to judge.",
        ],
        "keyfob-credential-helper" => &[
            "The tools find their helper by its name: a link to keyfob that is called `git-credential-keyfob`, \
             `docker-credential-keyfob`, `terraform-credentials-keyfob`, `cargo-credential-keyfob` or `bazel-credential-keyfob` is the \
             command for that tool.",
        ],
        "keyfob-whoami" => {
            &["The first line of keyfob-status(1), for a glance and for a prompt. Opens no connection."]
        }
        "keyfob-switch" => &["Short for `keyfob profiles use`. A name that no login has is refused."],
        "keyfob-connect" => &[
            "A remote connection has an order of sources of its own, without API keys: keyfob-environment(7). Redirects are not \
             followed, and the URL must be on an origin of the environment.",
        ],
        "keyfob-demo" => &[
            "Each step is the command itself, in a home of its own that ends with the demo. No account and no configuration is needed \
             or touched.",
            "A person signs in, the token ends, and three programs ask at once: one of them renews, and all get the new token. Then three \
             programs that keep a copy of their own do the same to another login, and the provider ends it: what keyfob is for.",
        ],
        "keyfob-man" => &[
            "At a terminal a page is shown by man(1) and its pager, or as text where there is none. `--install` writes the pages below \
             `~/.local/share/man`, asks manpath(1) whether `man` looks there, and if not prints the line that makes it. `--uninstall` removes those that \
             keyfob wrote, and no other file.",
        ],
        "keyfob-login" => &[
            "Opens the provider's page in the browser and waits for its answer: on a port of 127.0.0.1 that only this run knows, \
             or as text pasted at the terminal, whichever comes first. The answer is bound to this run (PKCE, RFC 7636, and \
             state), so one that was meant for another is refused.",
            "A login belongs to its profile, issuer and client. Signing in again replaces that login and no other, after the new one \
             has been saved. If another account signs in than the one stored there, nothing is replaced without a question.",
        ],
        "keyfob-logout" => &[
            "Asks the provider to revoke the tokens, then removes the login, and reports both. The login is removed also when the \
             provider cannot be reached: then it is said that the tokens may still be valid.",
        ],
        "keyfob-token" => &[
            "Prints the access token of the first source that has one, in the order of keyfob-environment(7). A login is renewed when \
             it is near its end; while the token is fresh, this is one read of a file. Ask again before every use, and keep \
             nothing: what is printed is always the newest, whoever renewed it.",
            "A token on a terminal or in a variable of a shell is readable there. To send it, prefer keyfob-header(1); to give it to \
             a program, keyfob-exec(1).",
        ],
        "keyfob-header" => &[
            "Prints every header that has to go with a request, as `Name: value`: what `curl -H @-` reads from its standard input. \
             As an argument of curl the credential would be visible to every user of the machine.",
        ],
        "keyfob-exec" => &[
            "Runs a program that reads the credential from a pipe. Every variable of the contract that holds a credential is taken \
             out of its environment; variables of other programs stay.",
            "With `--agent` it gets no token but a descriptor to ask through (`KEYFOB_AGENT`), and keyfob stays as its parent: \
             keyfob-agent(1).",
            "With `--file` it gets the path of a file that always holds a valid token, which is removed when it ends. That is for \
             programs that read a token from a file again and again; `id-token` gives them a JWT.",
            "With `--proxy` it gets no credential at all: `ANTHROPIC_BASE_URL` leads to a proxy that lasts as long as the program, and the \
             token in its environment is good for nothing else: keyfob-proxy(1).",
        ],
        "keyfob-status" => &[
            "Opens no connection, unless `--verify` asks for it, and changes nothing. Its exit status says whether a program would \
             get a credential: 0, or 1 if not.",
        ],
        "keyfob-env" => &[
            "Lists the variables of keyfob-environment(7) with their effect. The value of a secret is never shown.",
        ],
        "keyfob-setup" => &[
            "Writes keyfob into the file of another tool, or with `--undo` takes out again what was written. The change is shown \
             first, and asked about at a terminal. Everything else in the file stays as it is: comments, order and spelling.",
            "A file that is a link, has a second name, belongs to another user or can be written by others is not changed. Neither \
             is one that changed since it was shown.",
            "Some tools find their helper by its name. For them a symbolic link to keyfob is made as well, in ~/.local/bin unless PATH \
             has one already; `--undo` removes it if it lies in the home directory. Nothing else is written.",
            "A tool is set up for the provider's own hosts and those under `hosts` of the environment. What it asks for later is held \
             against them once more.",
        ],
        "keyfob-setup-git" => &[
            "For each host the other helpers are switched off by an empty `helper`: what is configured for all hosts, such as \
             `store`, would be told to keep the token.",
        ],
        "keyfob-setup-docker" => &[
            "podman, skopeo and buildah read that file too. All of them find docker-credential-keyfob in PATH alone.",
        ],
        "keyfob-setup-cargo" => &[
            "Registries whose index is elsewhere are left alone. One with another credential provider is an error.",
        ],
        "keyfob-setup-claude-code" => &[
            "Claude Code says in ANTHROPIC_BASE_URL alone whom it asks. `keyfob token --for` gives nothing to a host that is none of \
             the environment's.",
        ],
        "keyfob-setup-kubernetes" => &[
            "Adds a user to the kubeconfig with an exec plugin (`client.authentication.k8s.io/v1`): kubectl, helm, k9s and every \
             other program that reads the file then run `keyfob token --format kubernetes`, and send the ID token of the login. The \
             cluster has to know the provider (its `--oidc-issuer-url`), and the login needs the scope `openid`. What is chosen on \
             this command line (`--profile`, `--environment`, `--home`) is written down with it.",
            "No context is changed: `kubectl config set-context` says which one uses the user. Of several files in KUBECONFIG one \
             has to be named with `--kubeconfig`.",
        ],
        "keyfob-setup-token" => &[
            "Signs in once more and asks for a token that lasts, for a machine without a person. It is no login: it cannot be renewed, \
             and this machine keeps only its fingerprint, name and end.",
        ],
        "keyfob-doctor" => &[
            "Examines variables, files, locks, the provider, the clock and every source, and says of each whether it is as it should \
             be. Without `--fix` it changes nothing.",
        ],
        "keyfob-profiles" => &[
            "A profile is a name for a login. One that is named for a call (`--profile`, `KEYFOB_PROFILE`) means exactly its login: \
             every other source is passed over, with a warning.",
        ],
        "keyfob-device" => &[
            "Some providers want machines to be enrolled before they accept remote connections. The device's token is kept beside the \
             logins and goes with such a connection as `X-Trusted-Device-Token`.",
        ],
        "keyfob-agent" => &[
            "Serves HTTP/1.1 on a unix socket, to processes of this user and of root alone, until a signal ends it. A program that \
             may reach the socket gets access tokens, and never the login: a container with the socket and \
             `KEYFOB_AGENT=PATH` runs `keyfob token`, `header` and `exec` without a login of its own. docs/agent.md describes the \
             requests, so that curl or another program can send them.",
            "Without options it opens every door and keeps every file that `[agent]` in keyfob-config(5) describes, and the usual door \
             where none is described there.",
            "The login is renewed ahead of its end, and once however many ask. Nobody is asked anything and no page is opened. Nothing \
             depends on the agent: where there is a login, `keyfob token` does not look for one.",
        ],
        "keyfob-serve" => &[
            "Each line of standard input is a question, an object of JSON: `v` (1), `id`, `uri`, `profile`, `kind`, `min_valid`, `rejected`, \
             `wait`. Each line of standard output is an answer: headers, token, handle and end, or an error with its id, cause and exit \
             code. Many may be asked at a time; a login is renewed once. An address that is no host of the environment gets no \
             credential. docs/protocol.md describes it all.",
            "It ends at the end of its input, and with the process that has started it. No page is opened and nothing is asked. What is \
             wrong with variables or files is the answer to the first question, and ends it.",
        ],
        "keyfob-proxy" => &[
            "Forwards requests to one origin, and adds the login's access token to each: the program that sends them has a token of this \
             run at most, and never the credential. Only what rules allow is forwarded; what the program sends as a credential is \
             dropped, and answers lose cookies and whatever shows the credential. docs/proxy.md describes all of it.",
            "A 401 of the origin renews the token once, for all who ask; where there is no valid one, the answer is 502 or 503 with the id of \
             keyfob's error in the header `keyfob-error`. That a program cannot go past the proxy, or read the login's files, is \
             for a sandbox to see to.",
        ],
        "keyfob-dev-server" => &[
            "A complete OAuth and OpenID provider for development and tests, with faults on demand. It listens on loopback only. \
             Anybody on this machine can sign in there as anybody.",
        ],
        "keyfob-completions" => &[
            "Bash, zsh and fish ask keyfob itself what fits, and so complete profiles and environments of this machine, and behind \
             `exec --` the words of the other program. The scripts for other shells know commands and options only.",
        ],
        _ => &[],
    }
}
