//! Measures what a draw costs outside core: the token's digest, opening a sealed value, writing the answer; and sealing.

use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use keypool_crypto::{EncryptionKey, Place, Sealer, Token, TokenDigest};
use keypool_engine::{Plain, Secret, Served};

const KEY: &str = "0193a5e0-7a5c-7c3e-9f00-1c2d3e4f5a6b";
const VALUE: &str = "sk-live-000000000000000000000000";
const PLACE: Place<'_> = Place::KeyValue { key: KEY };

fn token(criterion: &mut Criterion) {
    let token = Token::generate().expect("the system has random bytes");
    criterion.bench_function("digest of a token", |bencher| {
        bencher.iter(|| TokenDigest::of(black_box(token.expose())));
    });
}

fn values(criterion: &mut Criterion) {
    let key = EncryptionKey::parse_hex(&"5a".repeat(32)).expect("64 hex digits are a key");
    for (name, sealer) in [("sealed", Sealer::with_key(key)), ("plain", Sealer::plain())] {
        criterion.bench_function(&format!("sealing a value, {name}"), |bencher| {
            bencher.iter(|| sealer.seal(PLACE, black_box(VALUE)).expect("it seals"));
        });
        let stored = sealer.seal(PLACE, VALUE).expect("it seals");
        criterion.bench_function(&format!("opening a value, {name}"), |bencher| {
            bencher.iter(|| sealer.open(PLACE, black_box(stored.as_str())).expect("it opens"));
        });
    }
}

fn answer(criterion: &mut Criterion) {
    let served = |metadata: &str, secrets| Served {
        key_id: Arc::from(KEY),
        value: Plain::from(VALUE.to_owned()),
        metadata: Arc::from(metadata),
        secrets,
        draw_id: "0193a5e07a5c7c3e".parse().expect("16 hex digits are a draw's id"),
    };
    let secret =
        |name: &str| Secret { name: Arc::from(name), value: Plain::from(VALUE.to_owned()) };
    let bare = served("{}", Vec::new());
    let full = served(r#"{"region":"eu","plan":{"name":"free"}}"#, vec![secret("a"), secret("b")]);
    for (name, served) in [("bare", bare), ("with metadata and two secrets", full)] {
        criterion.bench_function(&format!("writing a grant, {name}"), |bencher| {
            bencher.iter(|| keypool_http::grant_body(black_box(&served)));
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    token(&mut criterion);
    values(&mut criterion);
    answer(&mut criterion);
    criterion.final_summary();
}
