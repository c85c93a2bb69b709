//! `keypooler token`: makes up a token that is fit to be an `ADMIN_TOKEN`.

use anyhow::Context;
use keypool_engine::Token;
use zeroize::Zeroizing;

use crate::report;

/// Prints it.
pub(crate) fn token() -> anyhow::Result<()> {
    let token = Token::generate().context("no token can be made up")?;
    let line = Zeroizing::new([token.expose(), "\n"].concat());
    report::write(line.as_bytes()).context("the token could not be written to standard output")
}
