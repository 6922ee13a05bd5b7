//! Whether time tells what is wrong with a secret, or which it is: Welch's t-test between two
//! classes of presented tokens, after dudect (Reparaz, Balasch, Verbauwhede, 2017).
//!
//! `timing CASE SAMPLES` measures that many verifications one by one, of a class that is drawn anew
//! each time. Where time does not depend on the class, |t| stays below 4.5 however many there are;
//! where it does, |t| grows with their number.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench may stop, and answers by printing"
)]

use countersign::Policy;
use countersign::core::access::{Decoy, HashedToken, Presented, check};
use countersign::core::{
    CredentialKind, Keyring, SplitToken, Timestamp, TokenFormat, VERIFIER_BYTES, Verifier,
};
use countersign_benches::{Shuffle, filled, keys};
use std::hint::black_box;
use std::time::Instant;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);
/// Texts of each class, taken by chance.
const POOL: usize = 256;
/// Bytes of a token's text without a word in front.
const TEXT: usize = 70;
/// Measured first, to see what is usual; they do not count.
const WARMING: usize = 10_000;
/// Beside all of them, the times below so many limits are judged: what interrupts is left out.
const LIMITS: usize = 10;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let (Some(case), Some(samples)) = (arguments.next(), arguments.next()) else {
        return;
    };
    let Ok(samples) = samples.parse() else { return };
    let Subject { text, mut verify } = match case.split_once('-') {
        Some(("core", _)) => core_alone(),
        Some(("engine", _)) => whole_engine(),
        _ => planted(),
    };
    let classes = match case.split_once('-') {
        Some((_, "value")) => [Class::Fixed, Class::Random],
        _ => [Class::First, Class::Last],
    };
    let mut chance = Shuffle::new();
    let classes = classes.map(|class| class.texts(&text, &mut chance));
    let t = measured(&classes, samples, &mut chance, &mut *verify);
    println!("t {t:.2}");
}

/// A verification, and whether it lets in.
type Verify = dyn FnMut(&[u8; TEXT]) -> bool;

/// What is measured, and the text that would be let in.
struct Subject {
    text: String,
    verify: Box<Verify>,
}

/// Parsing and judging, with the record at hand.
fn core_alone() -> Subject {
    let keyring = Keyring::new(&keys());
    let (policy, decoy) = (Policy::default(), Decoy::new().unwrap());
    let format = TokenFormat::new(None).unwrap();
    let text = filled(1).texts.swap_remove(0);
    let records = countersign_benches::Records::of(&keyring, &format, &text);
    let verify = move |text: &[u8; TEXT]| {
        let Ok(token) = format.parse(CredentialKind::Access, text) else {
            return false;
        };
        let presented = Presented {
            token: HashedToken::new(&keyring, &token),
            grant: Some(&records.grant),
            principal: Some(&records.principal),
            system: Some(&records.system),
            scope: None,
        };
        check(NOW, &keyring, &policy, &decoy, presented).is_ok()
    };
    Subject {
        text,
        verify: Box::new(verify),
    }
}

/// The engine's own call, the records in memory.
fn whole_engine() -> Subject {
    let filled = filled(1);
    filled.warm();
    filled.warm();
    let text = filled.texts[0].clone();
    let verify = move |text: &[u8; TEXT]| {
        let verdict = filled.engine.access().verify(text).wait();
        verdict.unwrap().is_in()
    };
    Subject {
        text,
        verify: Box::new(verify),
    }
}

/// A leak, made on purpose: the secret itself is kept, and compared until it differs.
fn planted() -> Subject {
    let format = TokenFormat::new(None).unwrap();
    let text = filled(1).texts.swap_remove(0);
    let kept = *format
        .parse_any(text.as_bytes())
        .unwrap()
        .verifier()
        .expose();
    let verify = move |text: &[u8; TEXT]| {
        let Ok(token) = format.parse(CredentialKind::Access, text) else {
            return false;
        };
        let both = token.verifier().expose().iter().zip(&kept);
        both.into_iter()
            .all(|(one, other)| *black_box(one) == *other)
    };
    Subject {
        text,
        verify: Box::new(verify),
    }
}

/// What is wrong with the secrets of one side.
#[derive(Clone, Copy)]
enum Class {
    /// The first byte.
    First,
    /// The last byte.
    Last,
    /// Everything, and always the same.
    Fixed,
    /// Everything, and by chance.
    Random,
}

impl Class {
    fn texts(self, good: &str, chance: &mut Shuffle) -> Vec<[u8; TEXT]> {
        let format = TokenFormat::new(None).unwrap();
        let token = format.parse_any(good.as_bytes()).unwrap();
        let text = |_| {
            let mut bytes = *token.verifier().expose();
            let other = u8::try_from(1 + chance.below(255)).unwrap();
            match self {
                Self::First => bytes[0] ^= other,
                Self::Last => bytes[VERIFIER_BYTES - 1] ^= other,
                Self::Fixed => bytes = [0x5a; VERIFIER_BYTES],
                Self::Random => bytes.fill_with(|| u8::try_from(chance.below(256)).unwrap()),
            }
            let verifier = Verifier::from_bytes(bytes);
            let forged = SplitToken::new(token.kind(), token.selector(), verifier);
            let text = format.text(&forged).unwrap();
            text.expose().as_bytes().try_into().unwrap()
        };
        (0..POOL).map(text).collect()
    }
}

/// The largest |t| of all limits, with its sign.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn measured(
    classes: &[Vec<[u8; TEXT]>; 2],
    samples: usize,
    chance: &mut Shuffle,
    verify: &mut Verify,
) -> f64 {
    let mut text = [0; TEXT];
    let mut sample = || {
        let class = chance.below(2);
        text = classes[class][chance.below(POOL)];
        let text = black_box(&text);
        let start = Instant::now();
        let is_in = verify(text);
        let took = start.elapsed().as_nanos() as f64;
        assert!(!is_in);
        (class, took)
    };
    let mut usual: Vec<f64> = (0..WARMING).map(|_| sample().1).collect();
    usual.sort_by(f64::total_cmp);
    let mut tests = [const { Welch::new() }; 1 + LIMITS];
    let limits: [f64; 1 + LIMITS] = std::array::from_fn(|n| limit(&usual, n));
    for _ in 0..samples {
        let (class, took) = sample();
        for (test, limit) in tests.iter_mut().zip(limits) {
            if took < limit {
                test.note(class, took);
            }
        }
    }
    let all = tests.iter().map(Welch::t);
    all.reduce(|one, other| if one.abs() < other.abs() { other } else { one })
        .unwrap()
}

/// The first is none; the others leave out a half and then less and less.
fn limit(usual: &[f64], n: usize) -> f64 {
    if n == 0 {
        return f64::INFINITY;
    }
    let left_out = usual.len() >> n;
    // Just above it, since times are whole nanoseconds.
    usual[usual.len() - 1 - left_out] + 0.5
}

/// Welch's t-test of two classes, from running means.
struct Welch([Running; 2]);

#[derive(Clone, Copy)]
struct Running {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welch {
    const fn new() -> Self {
        let none = Running {
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
        };
        Self([none; 2])
    }

    fn note(&mut self, class: usize, value: f64) {
        let Running {
            count,
            mean,
            squares,
        } = &mut self.0[class];
        *count += 1.0;
        let delta = value - *mean;
        *mean += delta / *count;
        *squares += delta * (value - *mean);
    }

    fn t(&self) -> f64 {
        let [one, other] = self.0;
        let of_mean = |side: Running| side.squares / (side.count - 1.0) / side.count;
        let error = (of_mean(one) + of_mean(other)).sqrt();
        match error > 0.0 {
            true => (one.mean - other.mean) / error,
            false => 0.0,
        }
    }
}
