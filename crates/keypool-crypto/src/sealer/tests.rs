//! The sealer by known vectors, flipped bytes and round trips.

use proptest::prelude::*;

use super::*;
use crate::opened_len;
use crate::stored::{MAC_LEN, SEALED_TAG};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SEALED_KEY: Place<'_> = Place::KeyValue { key: "0ca0a6e0-9654-49ae-aaca-3da42b5bbacc" };
const SECRET: Place<'_> =
    Place::Secret { key: "0ca0a6e0-9654-49ae-aaca-3da42b5bbacc", name: "extra" };

/// Values that the Go program sealed under [`KEY`], and what they hold.
const ORIGINALS: [(&str, &str); 4] = [
    (
        "enc:gcm:0409a5cc4975949465036d095c503745dfc8706717d4d6643a7bbbc71e0cf51690f68d07f9324e0b323c",
        "fc-A7-sealed-4",
    ),
    (
        "enc:gcm:1ec3c426f912d2c56aea1aa3aae213d64fa53078caf23f58fd333e000ed74897ea147abd31033561b6fbc13f",
        "serp-A7-sealed-2",
    ),
    (
        "enc:gcm:cfbaa94ae6e20bfd0e35feb21afdcdf06f06e817562fddaae265b25c95979914951f2064ba0a",
        "whsec-A7-4",
    ),
    (
        "enc:gcm:46d5a10ec09967e9c08a72d81ae4f39089e104fdf4d53c154991635b9f7fa9e8f0bf68099b",
        "ünicöde",
    ),
];
/// Sealed with Python's `cryptography` under [`KEY`] for the two places above.
const OURS: [(Place<'_>, &str, &str); 2] = [
    (
        SEALED_KEY,
        "enc:gcm:2:efbb1f50:000102030405060708090a0b3467a46be8a4f536bf6b3167108ed28f65c21145060874fde1",
        "serp-A7-2",
    ),
    (
        SECRET,
        "enc:gcm:2:efbb1f50:000102030405060708090a0b3461be770659b168e82df952f24a0697a85db06ad0191811c330",
        "schlüssel",
    ),
];

fn keyed() -> Sealer {
    Sealer::with_key(EncryptionKey::parse_hex(KEY).unwrap())
}

fn other_keyed() -> Sealer {
    Sealer::with_key(EncryptionKey::parse_hex(&"ab".repeat(32)).unwrap())
}

/// What opening comes to, comparable.
fn open(sealer: &Sealer, place: Place<'_>, stored: &str) -> Result<String, OpenError> {
    sealer.open(place, stored).map(|plain| plain.expose().to_owned())
}

#[test]
fn opens_what_the_original_sealed() {
    for (stored, value) in ORIGINALS {
        assert_eq!(open(&keyed(), SEALED_KEY, stored).as_deref(), Ok(value));
    }
}

#[test]
fn opens_known_values_of_ours() {
    for (place, stored, value) in OURS {
        assert_eq!(open(&keyed(), place, stored).as_deref(), Ok(value));
    }
}

#[test]
fn opens_upper_case_digits_as_the_original_does() {
    let (stored, value) = ORIGINALS[0];
    let digits = stored.strip_prefix(SEALED_TAG).unwrap().to_uppercase();
    assert_eq!(open(&keyed(), SEALED_KEY, &format!("{SEALED_TAG}{digits}")).as_deref(), Ok(value));
}

#[test]
fn seals_behind_the_versioned_tag_and_the_key_id() {
    let stored = keyed().seal(SEALED_KEY, "hush").unwrap();
    let digits = stored.as_str().strip_prefix("enc:gcm:2:efbb1f50:").unwrap();
    assert_eq!(digits.len(), 2 * (NONCE_LEN + "hush".len() + MAC_LEN));
    assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
}

#[test]
fn seals_the_same_value_differently_each_time() {
    let sealer = keyed();
    assert_ne!(sealer.seal(SECRET, "hush").unwrap(), sealer.seal(SECRET, "hush").unwrap());
}

#[test]
fn does_not_open_with_any_bit_flipped() {
    let [(original, _), ..] = ORIGINALS;
    let [(_, ours, _), ..] = OURS;
    for (stored, tag) in [(original, SEALED_TAG), (ours, "enc:gcm:2:efbb1f50:")] {
        let sealed = hex::decode(stored.strip_prefix(tag).unwrap()).unwrap();
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let stored = format!("{tag}{}", hex::encode(flipped));
            assert_eq!(open(&keyed(), SEALED_KEY, &stored), Err(OpenError::Damaged), "bit {bit}");
        }
    }
}

#[test]
fn does_not_open_in_another_place() {
    let places = [
        SEALED_KEY,
        SECRET,
        Place::KeyValue { key: "cddc1c23-1768-46e9-8881-b34906488a0f" },
        Place::Secret { key: "0ca0a6e0-9654-49ae-aaca-3da42b5bbacc", name: "other" },
        Place::Secret { key: "cddc1c23-1768-46e9-8881-b34906488a0f", name: "extra" },
    ];
    for from in places {
        let stored = keyed().seal(from, "hush").unwrap();
        for to in places {
            let expected = if to == from { Ok("hush".to_owned()) } else { Err(OpenError::Damaged) };
            assert_eq!(open(&keyed(), to, stored.as_str()), expected, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn does_not_pass_for_the_original_s_when_its_version_is_cut_out() {
    let (place, ours, _) = OURS[0];
    let stored = ours.replace("enc:gcm:2:efbb1f50:", SEALED_TAG);
    assert_eq!(open(&keyed(), place, &stored), Err(OpenError::Damaged));
}

#[test]
fn names_the_key_that_a_value_needs() {
    let needed = OpenError::OtherKey { key_id: KeyId::parse("efbb1f50").unwrap() };
    let (place, stored, _) = OURS[0];
    assert_eq!(open(&other_keyed(), place, stored), Err(needed.clone()));
    assert!(needed.to_string().contains("efbb1f50"));
}

#[test]
fn the_original_s_under_another_key_looks_damaged() {
    assert_eq!(open(&other_keyed(), SEALED_KEY, ORIGINALS[0].0), Err(OpenError::Damaged));
}

#[test]
fn sealed_values_need_a_key() {
    let (place, ours, _) = OURS[0];
    for stored in [ours, ORIGINALS[0].0] {
        assert_eq!(open(&Sealer::plain(), place, stored), Err(OpenError::KeyMissing));
    }
}

#[test]
fn opens_what_the_key_before_sealed_and_seals_under_the_current_one() {
    let sealer = Sealer::with_key(EncryptionKey::parse_hex(&"ab".repeat(32)).unwrap())
        .opening_previous(EncryptionKey::parse_hex(KEY).unwrap());
    for (place, stored, value) in OURS {
        assert_eq!(open(&sealer, place, stored).as_deref(), Ok(value));
    }
    for (stored, value) in ORIGINALS {
        assert_eq!(open(&sealer, SEALED_KEY, stored).as_deref(), Ok(value));
    }
    let stored = sealer.seal(SECRET, "hush").unwrap();
    assert_eq!(open(&other_keyed(), SECRET, stored.as_str()).as_deref(), Ok("hush"));
    assert_eq!(open(&sealer, SECRET, stored.as_str()).as_deref(), Ok("hush"));
}

#[test]
fn only_the_key_that_a_value_names_is_tried() {
    // Sealed under one key, with the id of the other.
    let stored = other_keyed().seal(SECRET, "hush").unwrap();
    let renamed = stored.as_str().replacen(other_keyed().key_id().unwrap().as_str(), "efbb1f50", 1);
    let sealer = keyed().opening_previous(EncryptionKey::parse_hex(&"ab".repeat(32)).unwrap());
    assert_eq!(open(&sealer, SECRET, stored.as_str()).as_deref(), Ok("hush"));
    assert_eq!(open(&sealer, SECRET, &renamed), Err(OpenError::Damaged));
}

#[test]
fn a_value_of_neither_key_does_not_open() {
    let third = Sealer::with_key(EncryptionKey::parse_hex(&"cd".repeat(32)).unwrap());
    let sealer = keyed().opening_previous(EncryptionKey::parse_hex(&"ab".repeat(32)).unwrap());
    let stored = third.seal(SECRET, "hush").unwrap();
    let needed = OpenError::OtherKey { key_id: third.key_id().unwrap().clone() };
    assert_eq!(open(&sealer, SECRET, stored.as_str()), Err(needed.clone()));
    assert_eq!(sealer.seal_of(stored.as_str()), Err(needed));
    let neither = third.opening_previous(EncryptionKey::parse_hex(&"ab".repeat(32)).unwrap());
    assert_eq!(open(&neither, SEALED_KEY, ORIGINALS[0].0), Err(OpenError::Damaged));
}

#[test]
fn plain_text_can_be_refused() {
    let sealer = keyed().refusing_plain_text();
    for stored in ["", "fc-1", "enc:none:enc:gcm:", "enc:x"] {
        assert_eq!(open(&sealer, SECRET, stored), Err(OpenError::PlainText), "{stored:?}");
    }
    for (stored, value) in ORIGINALS {
        assert_eq!(open(&sealer, SEALED_KEY, stored).as_deref(), Ok(value));
    }
    let stored = sealer.seal(SECRET, "hush").unwrap();
    assert_eq!(open(&sealer, SECRET, stored.as_str()).as_deref(), Ok("hush"));
}

#[test]
fn tells_the_seal_by_the_tag() {
    let sealer = other_keyed().opening_previous(EncryptionKey::parse_hex(KEY).unwrap());
    let current = sealer.seal(SECRET, "hush").unwrap();
    for (stored, seal) in [
        (current.as_str(), Seal::Current),
        (OURS[0].1, Seal::Previous),
        (ORIGINALS[0].0, Seal::Original),
        ("fc-1", Seal::Missing),
        ("enc:none:enc:gcm:", Seal::Missing),
    ] {
        assert_eq!(sealer.seal_of(stored), Ok(seal), "{stored}");
    }
    assert_eq!(sealer.seal_of("enc:gcm:xyz"), Err(OpenError::Malformed));
    assert_eq!(Sealer::plain().seal_of(OURS[0].1), Err(OpenError::KeyMissing));
}

#[test]
fn tagged_text_of_no_known_form_is_malformed() {
    let digits = "00".repeat(28);
    let short = "00".repeat(27);
    let forms = [
        "enc:gcm:".to_owned(),
        "enc:gcm:2:".to_owned(),
        "enc:gcm:xyz".to_owned(),
        format!("enc:gcm:{short}"),
        format!("enc:gcm:{digits}0"),
        format!("enc:gcm: {digits}"),
        format!("enc:gcm:{digits}\n"),
        format!("enc:gcm:é{digits}"),
        format!("enc:gcm:3:efbb1f50:{digits}"),
        format!("enc:gcm:2:{digits}"),
        format!("enc:gcm:2::{digits}"),
        format!("enc:gcm:2:EFBB1F50:{digits}"),
        format!("enc:gcm:2:efbb1f5:{digits}"),
        format!("enc:gcm:2:efbb1f50:{short}"),
        format!("enc:gcm:2:efbb1f50:{digits}:00"),
    ];
    for stored in forms {
        assert_eq!(open(&keyed(), SEALED_KEY, &stored), Err(OpenError::Malformed), "{stored:?}");
    }
}

#[test]
fn every_truncation_of_a_sealed_value_fails() {
    for (place, stored, _) in OURS {
        for length in SEALED_TAG_2.len()..stored.len() {
            let (cut, _) = stored.split_at(length);
            assert!(open(&keyed(), place, cut).is_err(), "{length}");
        }
    }
}

#[test]
fn a_sealed_value_that_is_not_text_is_malformed() {
    let keyed = keyed();
    let mut bytes = vec![0xff, 0xfe];
    let nonce = Nonce::assume_unique_for_key([7; NONCE_LEN]);
    let cipher = &keyed.current.as_ref().unwrap().cipher;
    cipher.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
    let stored = format!("{SEALED_TAG}{}{}", "07".repeat(NONCE_LEN), hex::encode(bytes));
    assert_eq!(open(&keyed, SEALED_KEY, &stored), Err(OpenError::Malformed));
}

#[test]
fn without_a_key_plain_text_is_stored_as_it_is() {
    for value in ["", "fc-2c7b07f", "schlüssel", "ENC:gcm:00", " enc:none:", "enc"] {
        assert_eq!(Sealer::plain().seal(SECRET, value).unwrap().as_str(), value);
    }
}

#[test]
fn without_a_key_text_that_looks_tagged_is_stored_behind_a_tag() {
    for value in ["enc:", "enc:gcm:", ORIGINALS[0].0, OURS[0].1, "enc:none:", "enc:none:x", "enc:é"]
    {
        let stored = Sealer::plain().seal(SECRET, value).unwrap();
        assert_eq!(stored.as_str(), format!("enc:none:{value}"));
        assert_eq!(open(&Sealer::plain(), SECRET, stored.as_str()).as_deref(), Ok(value));
    }
}

#[test]
fn plain_values_open_with_a_key_too() {
    for (stored, value) in
        [("fc-1", "fc-1"), ("", ""), ("enc:none:enc:gcm:", "enc:gcm:"), ("enc:x", "enc:x")]
    {
        assert_eq!(open(&keyed(), SECRET, stored).as_deref(), Ok(value));
    }
}

#[test]
fn says_whether_and_under_which_key_it_seals() {
    assert!(!Sealer::plain().is_encrypting());
    assert_eq!(Sealer::plain().key_id(), None);
    assert!(keyed().is_encrypting());
    assert_eq!(keyed().key_id().unwrap().as_str(), "efbb1f50");
}

#[test]
fn prints_no_key() {
    assert_eq!(format!("{:?}", Sealer::plain()), "Sealer { key_id: None }");
    assert_eq!(format!("{:?}", keyed()), r#"Sealer { key_id: Some(KeyId("efbb1f50")) }"#);
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(value in "(enc:(gcm:(2:)?|none:)?)?(?s).{0,64}") {
        for sealer in [Sealer::plain(), keyed()] {
            let stored = sealer.seal(SECRET, &value).unwrap();
            prop_assert_eq!(open(&sealer, SECRET, stored.as_str()), Ok(value.clone()));
        }
    }

    #[test]
    fn what_was_stored_without_a_key_opens_with_one(value in "(enc:(gcm:|none:)?)?(?s).{0,64}") {
        let stored = Sealer::plain().seal(SECRET, &value).unwrap();
        prop_assert_eq!(open(&keyed(), SECRET, stored.as_str()), Ok(value));
    }

    #[test]
    fn any_stored_text_is_judged_without_a_panic(stored in "(enc:(gcm:(2:([0-9a-f]{8}:)?)?)?)?([0-9a-f]{2}){0,40}\\PC{0,3}") {
        for sealer in [Sealer::plain(), keyed()] {
            let _ = sealer.open(SEALED_KEY, &stored);
        }
    }
}

#[test]
fn tells_how_long_a_value_is_without_opening_it() {
    for (stored, value) in ORIGINALS {
        assert_eq!(opened_len(stored), value.len());
    }
    for sealer in [Sealer::plain(), keyed()] {
        for value in ["", "v", "schlüssel", "enc:none:x", "enc:gcm:", "enc:gcm:2:efbb1f50:00"] {
            let stored = sealer.seal(SECRET, value).unwrap();
            assert_eq!(opened_len(stored.as_str()), value.len(), "{value}");
        }
    }
    for odd in ["enc:gcm:", "enc:gcm:2:", "enc:gcm:2:efbb1f50:", "enc:gcm:2:00"] {
        assert_eq!(opened_len(odd), 0, "{odd}");
    }
}
