//! Bearer tokens: how ours are made, and how a mistyped one is told from a real one.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PREFIX: &str = "kp_";
const RANDOM_BYTES: usize = 32;
/// 62^43 is just above 2^256.
const RANDOM_DIGITS: usize = 43;
/// 62^6 is above 2^32.
const CHECK_DIGITS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A bearer token in clear. Prints nothing of itself and is wiped when dropped.
///
/// Its text, 52 characters:
///
/// - `kp_`, by which scanners find leaked tokens,
/// - 43 base62 digits: 256 random bits as one big-endian number, padded with zeros on the left,
/// - 6 base62 digits: CRC-32 (IEEE) of all that stands before them, padded likewise.
///
/// Base62 digits are `0-9`, `A-Z`, `a-z` in this order.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomUnavailable;

impl Token {
    /// Makes a token up.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`] where the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomUnavailable> {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| RandomUnavailable)?;
        Ok(Self::from_random(&random))
    }

    fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        // All of it in one allocation: one that grows leaves unwiped copies behind.
        let mut text = String::with_capacity(PREFIX.len() + RANDOM_DIGITS + CHECK_DIGITS);
        text.push_str(PREFIX);
        push_base62(&mut text, random, RANDOM_DIGITS);
        let checksum = crc32fast::hash(text.as_bytes());
        push_base62(&mut text, &checksum.to_be_bytes(), CHECK_DIGITS);
        Self(text)
    }

    /// The token itself. What it is copied into must not print it either.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Whether a token is worth looking up: `false` for one that looks like ours (`kp_` and 49 more
/// bytes) but fails its checksum. Any other shape passes, as administrators choose theirs freely and
/// the original's were 64 hexadecimal digits.
pub fn is_plausible(token: &str) -> bool {
    let looks_like_ours =
        token.starts_with(PREFIX) && token.len() == PREFIX.len() + RANDOM_DIGITS + CHECK_DIGITS;
    if !looks_like_ours {
        return true;
    }
    let Some((checked, check)) = token.split_at_checked(PREFIX.len() + RANDOM_DIGITS) else {
        return false;
    };
    let mut expected = String::with_capacity(CHECK_DIGITS);
    push_base62(&mut expected, &crc32fast::hash(checked.as_bytes()).to_be_bytes(), CHECK_DIGITS);
    check == expected
}

/// Appends a big-endian number as exactly `digits` base62 digits, which must be enough to hold it.
fn push_base62(text: &mut String, number: &[u8], digits: usize) {
    let mut rest = Zeroizing::new(number.to_vec());
    let mut reversed = Zeroizing::new(Vec::with_capacity(digits));
    for _ in 0..digits {
        let remainder = divide_by_62(&mut rest);
        reversed.push(ALPHABET[usize::from(remainder)]);
    }
    debug_assert!(rest.iter().all(|byte| *byte == 0), "the number has more digits");
    text.extend(reversed.iter().rev().copied().map(char::from));
}

/// Divides a big-endian number in place and gives the remainder, which is below 62.
fn divide_by_62(number: &mut [u8]) -> u8 {
    let mut remainder = 0;
    for byte in number {
        let dividend = remainder << 8 | u16::from(*byte);
        let [_, quotient] = (dividend / 62).to_be_bytes();
        *byte = quotient;
        remainder = dividend % 62;
    }
    let [_, remainder] = remainder.to_be_bytes();
    remainder
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Computed with Python's integers and its zlib.
    const ZEROS: &str = "kp_00000000000000000000000000000000000000000000qdTY0";
    const COUNTING: &str = "kp_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf03li7U";
    const ONES: &str = "kp_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12RxAEa";

    fn is_wiped_on_drop<T: ZeroizeOnDrop>() {}

    #[test]
    fn spells_random_bytes_in_base62_with_a_checksum() {
        let counting = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(Token::from_random(&[0; 32]).expose(), ZEROS);
        assert_eq!(Token::from_random(&counting).expose(), COUNTING);
        assert_eq!(Token::from_random(&[255; 32]).expose(), ONES);
    }

    #[test]
    fn generated_tokens_are_plausible_distinct_and_of_the_alphabet() {
        let tokens: HashSet<String> =
            (0..1000).map(|_| Token::generate().unwrap().expose().to_owned()).collect();
        assert_eq!(tokens.len(), 1000);
        for token in &tokens {
            let digits = token.strip_prefix("kp_").unwrap();
            assert_eq!(digits.len(), 49);
            assert!(digits.bytes().all(|digit| ALPHABET.contains(&digit)));
            assert!(is_plausible(token));
        }
    }

    #[test]
    fn a_token_with_one_character_mistyped_is_implausible() {
        for position in PREFIX.len()..COUNTING.len() {
            for typed in ALPHABET.iter().chain(b"-_ ") {
                let mut token = COUNTING.as_bytes().to_vec();
                token[position] = *typed;
                let token = String::from_utf8(token).unwrap();
                assert_eq!(is_plausible(&token), token == COUNTING, "{token}");
            }
        }
    }

    #[test]
    fn two_neighbours_swapped_are_implausible() {
        for position in PREFIX.len()..COUNTING.len() - 1 {
            let mut token = COUNTING.as_bytes().to_vec();
            token.swap(position, position + 1);
            let token = String::from_utf8(token).unwrap();
            assert_eq!(is_plausible(&token), token == COUNTING, "{token}");
        }
    }

    #[test]
    fn other_shapes_pass() {
        let original = "9c9102b940509626cc78140767b3dffe3f76b46cac651bd367dacec91a8b6069";
        for token in ["", "kp_", "kp_my-own-admin-token", original, "KP_", &format!("{ONES}0")] {
            assert!(is_plausible(token), "{token}");
        }
    }

    #[test]
    fn does_not_print_itself_and_is_wiped() {
        is_wiped_on_drop::<Token>();
        assert_eq!(format!("{:?}", Token::generate().unwrap()), "Token(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "(kp_)?\\PC{0,49}") {
            let _ = is_plausible(&text);
        }

        #[test]
        fn text_of_our_length_with_wide_characters_is_implausible(text in "[é]{24}[a-z]") {
            let token = format!("{PREFIX}{text}");
            prop_assert_eq!(token.len(), 52);
            prop_assert!(!is_plausible(&token));
        }
    }
}
