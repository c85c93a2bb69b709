//! `--dev`: shows the server at work. Fills an empty pool with samples, draws once over HTTP, and
//! tells how to draw again.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIER: &str = "sample";
const FEATURE: &str = "sample_feature";

/// What there is to show.
pub(crate) struct Tour<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) database: &'a str,
    pub(crate) admin_token: &'a SecretString,
    pub(crate) admin_shown: AdminShown,
}

/// How the admin token is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminShown {
    /// It was made up, and is told nowhere else.
    Plain,
    /// The environment gave it, which may well be that of the shell that calls next.
    Variable,
    /// A file gave it.
    Placeholder,
}

/// Shows it on standard output. What goes wrong is logged, and the server serves on.
pub(crate) async fn show(tour: Tour<'_>) {
    match tour.walk().await {
        // Whoever closed standard output does not want to know.
        Ok(text) => drop(io::stdout().write_all(text.as_bytes())),
        Err(error) => tracing::error!("the samples could not be shown: {error:#}"),
    }
}

impl Tour<'_> {
    async fn walk(&self) -> anyhow::Result<String> {
        let admin = self.admin_token.expose_secret();
        let tiers = self.ask(admin, "GET", "/admin/tiers", None).await?;
        let tiers = tiers.as_array().context("the tiers are no list")?;
        let consumer = if tiers.is_empty() { Some(self.add_samples().await?) } else { None };
        let has_sample = consumer.is_some() || tiers.iter().any(|tier| tier["name"] == TIER);

        let mut text = format!("\nkeypooler serves {} on http://{}\n", self.database, self.address);
        if has_sample {
            let token = consumer.as_deref().unwrap_or(admin);
            let drawn = self.ask(token, "GET", &draw_path(), None).await?;
            write!(text, "\nDrew a key for {FEATURE}:\n\n{drawn:#}\n")?;
        }
        let shown = match self.admin_shown {
            AdminShown::Plain => admin,
            AdminShown::Variable => "$ADMIN_TOKEN",
            AdminShown::Placeholder => "<your admin token>",
        };
        write!(text, "\nAdmin token:    {shown}\n")?;
        if let Some(consumer) = &consumer {
            writeln!(text, "Consumer token: {consumer} (shown this once)")?;
        }
        let token = consumer.as_deref().unwrap_or(shown);
        let path = if has_sample { draw_path() } else { "/admin/keys".to_owned() };
        let what = if has_sample { "Draw the next one" } else { "See what is in it" };
        let curl = format!("curl -H \"Authorization: Bearer {token}\"");
        write!(text, "\n{what}:\n\n{curl} \"http://{}{path}\"\n\n", self.address)?;
        Ok(text)
    }

    /// Adds a tier with three keys, and a consumer that may draw from it; gives its token.
    async fn add_samples(&self) -> anyhow::Result<String> {
        let admin = self.admin_token.expose_secret();
        let tier = json!({
            "name": TIER,
            "description": "Made up by keypooler --dev",
            "features": {FEATURE: {"rate_limit": 10, "window_seconds": 60}},
        });
        self.ask(admin, "POST", "/admin/tiers", Some(tier)).await?;
        let keys: Vec<Value> = (1..=3)
            .map(|number| {
                json!({
                    "name": format!("sample-{number}"),
                    "key": format!("not-a-real-key-{number}"),
                    "tier": TIER,
                    "usage_limit": 1000,
                    "usage_window_seconds": 2_592_000,
                    "secrets": {"webhook_secret": format!("not-a-real-secret-{number}")},
                })
            })
            .collect();
        self.ask(admin, "POST", "/admin/keys", Some(keys.into())).await?;
        let consumer = json!({"name": "sample-consumer", "description": "May draw the samples"});
        let consumer = self.ask(admin, "POST", "/admin/consumers", Some(consumer)).await?;
        let id = consumer["id"].as_str().context("the consumer has no id")?;
        let scopes = format!("/admin/consumers/{id}/scopes");
        self.ask(admin, "POST", &scopes, Some(json!({"tier": TIER}))).await?;
        Ok(consumer["token"].as_str().context("the consumer has no token")?.to_owned())
    }

    /// One request over a connection of its own; the answer's body.
    async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;

        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        let status = head.lines().next().unwrap_or_default();
        let body: Value = serde_json::from_str(body).context("the answer is no JSON")?;
        let is_done = status.starts_with("HTTP/1.1 2");
        // A spent rate limit is worth showing too.
        if !is_done && !status.starts_with("HTTP/1.1 429") {
            bail!("{method} {path}: {status}: {}", body["error"]);
        }
        Ok(body)
    }
}

fn draw_path() -> String {
    format!("/key?feature={FEATURE}")
}
