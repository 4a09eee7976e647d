//! Arguments of `serve`.

use clap::Args;

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  keyfob serve --stdio                     for a program that writes questions and reads answers
  keyfob serve --stdio --profile ci        for the login of a profile
  echo '{\"uri\":\"https://api.example.com/\"}' | keyfob serve --stdio

A question and an answer are one line of JSON each. The packages for Python, Node, Go and Ruby speak this; another
program finds the form in docs/protocol.md. It ends at the end of its input, and with the process that started it.")]
pub(crate) struct Serve {
    /// Read questions from standard input, and write the answers to standard output
    #[arg(long, required = true)]
    pub(crate) stdio: bool,
}
