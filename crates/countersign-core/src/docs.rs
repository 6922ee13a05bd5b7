//! Hazard: a document that says what the code does not do.

use crate::event::EventKind;
use crate::keys::{KeyMaterial, Keyring, file};
use crate::kind::CredentialKind;
use crate::policy::{Draft, POLICY_TEXT_MAX, Policy};
use crate::presentation::Catalogue;
use crate::principal::Principal;
use crate::record::Table;
use crate::system::Subsystem;
use crate::time::Timestamp;
use crate::token::TokenFormat;
use std::collections::BTreeSet;

const POLICY: &str = include_str!("../../../docs/POLICY.md");
const FORMAT: &str = include_str!("../../../docs/FORMAT.md");

/// The fields of a policy as they stand in its TOML, with their values.
fn fields() -> Vec<(String, String)> {
    let mut draft = Draft::default();
    // What is none by default does not stand in the TOML otherwise.
    draft.remember_me.cookie_domain = Some("none".to_owned());
    let text = draft.build().unwrap().to_toml();
    let mut section = String::new();
    let mut fields = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.split_once(" = ") {
            Some((name, value)) => fields.push((format!("{section}.{name}"), value.to_owned())),
            None => section = line.trim_matches(['[', ']']).to_owned(),
        }
    }
    fields
}

#[test]
fn every_field_of_a_policy_is_documented_with_its_default() {
    let fields = fields();
    assert!(fields.len() > 35, "{}", fields.len());
    for (name, value) in &fields {
        let default = match name.as_str() {
            "remember_me.cookie_domain" => "none".to_owned(),
            _ => format!("`{value}`"),
        };
        let row = format!("| `{name}` | {default} | ");
        assert_eq!(POLICY.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn no_field_is_documented_that_is_not_there() {
    let fields: BTreeSet<String> = fields().into_iter().map(|(name, _)| name).collect();
    let rows = POLICY.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(documented, fields);
}

#[test]
fn documented_bounds_of_plain_numbers_are_those_that_hold() {
    let allowed = |field: &str, value: &str| {
        let (section, name) = field.split_once('.').unwrap();
        // Where one bound depends on another field, that one is moved out of the way.
        let other = match field {
            "access_tokens.max_live_per_principal" => "max_kept_per_principal = 1500\n",
            "sessions.max_sessions" => "max_anonymous = 0\n",
            "sessions.max_anonymous" => "max_sessions = 100000000\n",
            _ => "",
        };
        Policy::from_toml(&format!("[{section}]\n{other}{name} = {value}\n")).is_ok()
    };
    let mut checked = 0usize;
    for line in POLICY.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let (field, bounds) = (
            cells[0].trim_start_matches("| `").trim_end_matches('`'),
            cells[2],
        );
        let Some((low, high)) = bounds.split_once(" to ") else {
            continue;
        };
        let high = high.replace(" million", "000000").replace(' ', "");
        let (Ok(low), Ok(high)) = (low.parse::<u64>(), high.parse::<u64>()) else {
            continue;
        };
        let over = high.checked_add(1).unwrap();
        assert!(
            allowed(field, &low.to_string()) && allowed(field, &high.to_string()),
            "{field}"
        );
        assert!(!allowed(field, &over.to_string()), "{field}");
        if let Some(under) = low.checked_sub(1) {
            assert!(!allowed(field, &under.to_string()), "{field}");
        }
        checked = checked.saturating_add(1);
    }
    assert!(checked >= 13, "{checked}");
}

#[test]
fn the_longest_policy_is_documented() {
    assert_eq!(POLICY_TEXT_MAX, 64_512);
    assert!(POLICY.contains("at most 64 512 bytes"));
}

#[test]
fn the_examples_of_the_formats_are_what_the_code_makes() {
    let now = Timestamp::from_millis(1_795_341_296_789);
    let material = KeyMaterial::generate(now, [0x11; 32], [0x22; 32]);
    assert!(FORMAT.contains(file::write(&material).expose()));
    assert_eq!(file::KEY_FILE_MAX, 4352);

    let keyring = Keyring::new(&material);
    let text = "csa_08gsfFk6ncRBlR0enSSqQj001IYT0XLWR0glqewhlWlr1NWOlQOzi1H24GwrxTJZk5";
    let format = TokenFormat::new(None).unwrap();
    let token = format
        .parse(CredentialKind::Access, text.as_bytes())
        .unwrap();
    let digest = keyring.digest(None, token.kind(), token.selector(), token.verifier());
    let ann = keyring.principal_key(&Principal::new("ann").unwrap());
    let successor = keyring.successor(token.selector(), 0, &[0x33; 16], token.verifier());
    let acme = TokenFormat::new(Some("acme"))
        .unwrap()
        .text(&token)
        .unwrap();
    for example in [
        text,
        acme.expose(),
        &token.selector().to_string(),
        &token.selector().minted_at().to_string(),
        &hex(digest.expose()),
        &hex(&ann.to_bytes()),
        &hex(successor.expose()),
    ] {
        assert!(
            FORMAT.contains(&format!("`{example}`")) || FORMAT.contains(example),
            "{example}"
        );
    }
}

#[test]
fn every_presentation_cookie_is_documented_with_its_lifetimes() {
    let catalogue = Catalogue::new(&Policy::default(), Vec::new()).unwrap();
    let age = |age: Option<core::time::Duration>| {
        let days = |age: core::time::Duration| (age.as_secs() / 86_400).to_string();
        age.map_or("browser session".to_owned(), |age| match &*days(age) {
            "3652" => "3 652 days".to_owned(),
            days => format!("{days} days"),
        })
    };
    let mut names = 0;
    for cookie in catalogue.iter() {
        let ends = cookie.lifetime();
        let row = format!(" | {} | {} |", age(ends.declared()), age(ends.effective()));
        let line = format!("| `{}` | ", cookie.name());
        let found = FORMAT.lines().find(|found| found.starts_with(&line));
        assert!(
            found.is_some_and(|found| found.ends_with(&row)),
            "{line}...{row}"
        );
        names += 1;
    }
    assert!(names >= 4);
}

#[test]
fn every_code_is_documented() {
    for &kind in EventKind::ALL {
        let row = format!("| {} | `{}` |", kind.code(), kind.name());
        assert_eq!(FORMAT.matches(&row).count(), 1, "{row}");
    }
    for table in Table::ALL {
        let row = format!("| `{}` | {} |", table.name(), table.code());
        assert_eq!(FORMAT.matches(&row).count(), 1, "{row}");
    }
    let kinds = CredentialKind::ALL.map(|kind| format!("{} {}", kind.code(), kind.name()));
    assert!(FORMAT.contains(&format!("Kind codes: {}.", kinds.join(", "))));
    let subsystems = Subsystem::ALL.map(|each| format!("{} {}", each.code(), each.name()));
    assert!(FORMAT.contains(&format!("Subsystems: {}.", subsystems.join(", "))));
}

#[test]
fn every_context_is_documented() {
    let source = include_str!("contexts.rs");
    let contexts = source
        .split('"')
        .filter(|text| text.starts_with("countersign 20"));
    let contexts: Vec<&str> = contexts.collect();
    assert!(contexts.len() >= 7);
    for context in contexts {
        assert_eq!(
            FORMAT.matches(&format!("| `{context}` |")).count(),
            1,
            "{context}"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
