//! A program that embeds the live pool: durable draws without HTTP.
//!
//! Run it with `cargo run --package keypool-engine --example embed_engine`.

use std::error::Error;
use std::time::Duration;

use keypool_engine::{
    Caller, Clock, DrawError, Engine, EngineSettings, FeatureLimit, NewKey, NewTier, Origin, Plain,
    Refusal, Sealer, SqliteSettings, Synchronous,
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example talks to people")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let settings = || EngineSettings {
        store: SqliteSettings {
            path: folder.path().join("pool.db"),
            synchronous: Synchronous::Full,
            busy_timeout: Duration::from_secs(5),
        }
        .into(),
        sealer: Sealer::plain(),
        admin_tokens: Vec::new(),
        clock: Clock::System,
        accept_clock: false,
    };

    let pool = Engine::open(settings()).await?;
    let hourly = FeatureLimit { rate_limit: 100, window_seconds: 3_600 };
    let origin = Origin::command("embed_engine");
    let features = vec![("search".to_owned(), hourly)];
    let tier = NewTier { name: "search-api".to_owned(), description: String::new(), features };
    pool.add_tier(&origin, tier).await?;
    for name in ["first", "second"] {
        pool.add_key(
            &origin,
            NewKey {
                name: name.to_owned(),
                value: Plain::from(format!("sample-value-of-{name}")),
                tier: "search-api".to_owned(),
                expires_at: None,
                usage_limit: Some(2),
                usage_window_seconds: None,
                metadata: None,
                secrets: Vec::new(),
            },
        )
        .await?;
    }

    for _ in 0..3 {
        let served = pool.draw(Caller::Admin, "search").await.map_err(describe)?;
        println!("drew {} as event {}", served.value.expose(), served.draw_id);
    }
    pool.close().await;

    // Nothing is forgotten: one unit is left of the four.
    let pool = Engine::open(settings()).await?;
    let served = pool.draw(Caller::Admin, "search").await.map_err(describe)?;
    println!("after a restart drew {}", served.value.expose());
    let spent = pool.draw(Caller::Admin, "search").await;
    assert!(matches!(spent, Err(DrawError::Refused(Refusal::NoUsableKey))));
    println!("and now both budgets are spent");
    pool.close().await;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn describe(error: DrawError) -> String {
    format!("no key: {error:?}")
}
