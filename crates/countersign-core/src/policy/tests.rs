//! Hazard: a bad value that is silently replaced by a default, or one that no bound holds.

use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;

#[test]
fn the_defaults_are_those_of_the_product_they_mirror() {
    let policy = Policy::default();
    let access = policy.access_tokens();
    assert_eq!(access.max_live_per_principal, 10);
    assert_eq!(access.max_lifetime, days(365));
    assert!(access.allow_never);
    assert_eq!(access.max_name_chars, 40);
    assert_eq!(access.expiry_warning, days(5));
    assert_eq!(access.prune_after, days(30));
    assert_eq!(access.last_used_interval, Duration::from_secs(60));
    assert_eq!(policy.sessions().idle_timeout, Duration::from_secs(18_000));
    assert_eq!(policy.remember_me().max_age, Duration::from_secs(1_209_600));
    assert_eq!(policy.remember_me().cookie_name, "seraph.rememberme.cookie");
    assert_eq!(policy.image_tokens().expiry_hours, 168);
    assert_eq!(
        Draft::default().build().unwrap(),
        policy,
        "the defaults are within their bounds"
    );
}

#[test]
fn each_section_of_a_policy_is_what_its_draft_said() {
    let mut draft = Draft::default();
    draft.access_tokens.max_scopes = 7;
    draft.remember_me.max_series_per_principal = 7;
    draft.sessions.max_attributes = 7;
    draft.form_tokens.field_name = "seven".to_owned();
    draft.image_tokens.expiry_hours = 7;
    draft.audit.refusals_per_second = 7;
    draft.cache.staleness_ms = 7;
    draft.input.max_credential_bytes = 777;
    let policy = draft.clone().build().unwrap();
    assert_eq!(policy.access_tokens(), &draft.access_tokens);
    assert_eq!(policy.remember_me(), &draft.remember_me);
    assert_eq!(policy.sessions(), &draft.sessions);
    assert_eq!(policy.form_tokens(), &draft.form_tokens);
    assert_eq!(policy.image_tokens(), &draft.image_tokens);
    assert_eq!(policy.audit(), &draft.audit);
    assert_eq!(policy.cache(), &draft.cache);
    assert_eq!(policy.input(), &draft.input);
}

#[test]
fn it_reads_what_it_writes() {
    let mut draft = Draft::default();
    draft.access_tokens.at_limit = AtLimit::EvictOldest;
    draft.access_tokens.max_lifetime = Duration::from_secs(5400);
    draft.remember_me.cookie_domain = Some("example.org".to_owned());
    let policy = draft.build().unwrap();
    assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);
    assert_eq!(Policy::from_toml("").unwrap(), Policy::default());
}

#[test]
fn a_fault_names_its_line_its_field_and_what_is_allowed() {
    for (text, expected) in [
        (
            "[access_tokens]\nallow_never = true\nmax_lifetime = '5s'\n",
            "line 3: access_tokens.max_lifetime is 5s; allowed is 1m to 36525d",
        ),
        (
            "# mine\n[access_tokens]\nmax_live_per_principal = 0",
            "line 3: access_tokens.max_live_per_principal is 0; allowed is 1 to 1000",
        ),
        (
            "[sessions]\nabsolute_timeout = '1h'\n",
            "line 2: sessions.absolute_timeout is 1h; allowed is 5h to 36525d",
        ),
        (
            "[remember_me]\ncookie_path = 'x'\n",
            "line 2: remember_me.cookie_path is `x`; allowed is a path that begins with `/`, \
             without blanks, `;` or `,`, of at most 255",
        ),
        (
            "\n[access_tokens]\nmax_lifetime = 'soon'\n",
            "line 3: `soon` is no length of time; write one as `90s`, `5h` or `14d`",
        ),
    ] {
        assert_eq!(
            Policy::from_toml(text).unwrap_err().to_string(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_faults_with_a_line() {
    for (text, line) in [
        ("[access_tokens]\nmax_life = '5d'\n", 2),
        ("[nonsense]\n", 1),
        ("\n\n[access_tokens]\nallow_never = 'yes'\n", 4),
        ("[access_tokens]\nmax_live_per_principal = -1\n", 2),
        ("[access_tokens\n", 1),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        assert!(
            matches!(error, PolicyTextError::Syntax { line: l, .. } if l == line),
            "{error}"
        );
    }
    let longest = "#".repeat(POLICY_TEXT_MAX);
    assert_eq!(Policy::from_toml(&longest), Ok(Policy::default()));
    let long = longest + "#";
    assert_eq!(
        Policy::from_toml(&long).unwrap_err(),
        PolicyTextError::TooLong
    );
}

#[test]
fn every_number_has_a_bound_on_both_sides() {
    let bad: [fn(&mut Draft); 20] = [
        |d| d.access_tokens.prune_after = Duration::from_nanos(1),
        |d| d.remember_me.cookie_path = format!("/{}", "a".repeat(255)),
        |d| d.remember_me.cookie_domain = Some("a".repeat(254)),
        |d| d.remember_me.cookie_domain = Some(String::new()),
        |d| d.remember_me.cookie_name = "a".repeat(129),
        |d| d.access_tokens.max_live_per_principal = 1001,
        |d| d.access_tokens.max_kept_per_principal = 9,
        |d| d.access_tokens.max_kept_per_principal = 1501,
        |d| d.access_tokens.max_name_chars = 256,
        |d| d.access_tokens.max_scopes = 65,
        |d| d.access_tokens.last_used_interval = Duration::ZERO,
        |d| d.access_tokens.max_overlap = days(40_000),
        |d| d.remember_me.max_age = Duration::MAX,
        |d| d.sessions.max_anonymous = 1_000_001,
        |d| d.sessions.cookie_name = "a;b".to_owned(),
        |d| d.image_tokens.expiry_hours = u32::MAX,
        |d| d.input.max_credential_bytes = 127,
        |d| d.cache.max_tokens = u64::MAX,
        |d| d.cache.max_attachments = u64::MAX,
        |d| d.cache.staleness_ms = 60_001,
    ];
    for spoil in bad {
        let mut draft = Draft::default();
        spoil(&mut draft);
        assert!(draft.clone().build().is_err(), "{draft:?}");
    }
}

#[test]
fn what_names_a_cookies_place_is_plain_and_as_long_as_is_said() {
    let built = |spoil: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::default();
        spoil(&mut draft);
        draft.build()
    };
    let longest = format!("/{}", "a".repeat(254));
    for (path, is_allowed) in [
        (longest.as_str(), true),
        ("/a b", false),
        ("/a;b", false),
        ("/a,b", false),
        ("/a\u{7f}", false),
    ] {
        let outcome = built(&|draft| draft.remember_me.cookie_path = path.to_owned());
        assert_eq!(outcome.is_ok(), is_allowed, "{path}");
    }
    let longest = "a".repeat(253);
    for (host, is_allowed) in [
        (longest.as_str(), true),
        ("a-1.example.org", true),
        ("a_b", false),
        ("a/b", false),
    ] {
        let outcome = built(&|draft| draft.remember_me.cookie_domain = Some(host.to_owned()));
        assert_eq!(outcome.is_ok(), is_allowed, "{host}");
    }
}

#[test]
fn of_a_refused_text_the_beginning_is_shown_and_that_it_goes_on() {
    let refused = |path: &str| {
        let mut draft = Draft::default();
        draft.remember_me.cookie_path = path.to_owned();
        draft.build().unwrap_err().to_string()
    };
    assert!(refused("x").contains("`x`"), "{}", refused("x"));
    let long = "x".repeat(65);
    let shown = format!("`{}...`", "x".repeat(64));
    assert!(refused(&long).contains(&shown), "{}", refused(&long));
}

#[test]
fn a_tightened_policy_ends_tokens_that_exist_already() {
    let made = Timestamp::from_millis(1000);
    let mut access = AccessTokenPolicy::default();
    assert_eq!(access.end_of(made, Expiry::Never), Timestamp::MAX);
    access.allow_never = false;
    access.max_lifetime = Duration::from_secs(60);
    let end = Timestamp::from_millis(61_000);
    assert_eq!(access.end_of(made, Expiry::Never), end);
    assert_eq!(access.end_of(made, Expiry::At(Timestamp::MAX)), end);
    assert_eq!(access.end_of(made, Expiry::At(made)), made);
}

#[test]
fn spans_are_written_in_their_largest_whole_unit() {
    for (ms, text) in [
        (0, "0ms"),
        (250, "250ms"),
        (90_000, "90s"),
        (18_000_000, "5h"),
        (86_400_000, "1d"),
    ] {
        assert_eq!(format_span(Duration::from_millis(ms)), text);
    }
}

#[test]
fn an_error_shows_a_hostile_text_escaped_and_cut() {
    let hostile = format!("\u{1b}[2J{}", "x".repeat(5000));
    for text in [
        format!("[remember_me]\ncookie_path = {hostile:?}\n"),
        format!("[remember_me]\ncookie_domain = {hostile:?}\n"),
        format!("[sessions]\ncookie_name = {hostile:?}\n"),
        format!("[access_tokens]\nmax_lifetime = {hostile:?}\n"),
        format!("[access_tokens]\n{hostile:?} = 1\n"),
    ] {
        // TOML writes the escape character in its own way.
        let text = text.replace("\\u{1b}", "\\u001b");
        let shown = Policy::from_toml(&text).unwrap_err().to_string();
        assert!(!shown.contains('\u{1b}') && shown.len() < 700, "{shown}");
    }
}

#[test]
fn nesting_without_end_is_a_fault_not_a_crash() {
    for (open, count) in [
        ("[", 60_000),
        ("a.", 30_000),
        ("a={", 20_000),
        ("a=[", 20_000),
    ] {
        let text = open.repeat(count);
        assert!(
            matches!(
                Policy::from_toml(&text),
                Err(PolicyTextError::Syntax { .. })
            ),
            "{open}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_a_policy_that_reads_back_or_a_fault(text in ".{0,200}") {
        judge(&text)?;
    }

    #[test]
    fn so_is_any_text_that_looks_like_a_policy(lines in proptest::collection::vec(line(), 0..8)) {
        judge(&lines.join("\n"))?;
    }
}

/// Lines of real sections and fields with values of all sorts.
fn line() -> impl Strategy<Value = String> {
    let sections = [
        "access_tokens",
        "remember_me",
        "sessions",
        "image_tokens",
        "input",
    ];
    let fields = [
        "max_lifetime",
        "max_live_per_principal",
        "at_limit",
        "allow_never",
        "cookie_domain",
        "idle_timeout",
        "expiry_hours",
        "max_credential_bytes",
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "[0-9]{1,20} ?(ns|us|ms|s|m|h|d|w|M|y)".prop_map(|span| format!("'{span}'")),
        "\\PC{0,12}".prop_map(|text| format!("'{text}'")),
        Just("'evict-oldest'".to_owned()),
        Just("true".to_owned()),
        Just("{ a = [1979-05-27] }".to_owned()),
    ];
    prop_oneof![
        proptest::sample::select(sections.to_vec()).prop_map(|section| format!("[{section}]")),
        (proptest::sample::select(fields.to_vec()), value)
            .prop_map(|(field, value)| format!("{field} = {value}")),
    ]
}

fn judge(text: &str) -> Result<(), TestCaseError> {
    match Policy::from_toml(text) {
        Ok(policy) => prop_assert_eq!(Policy::from_toml(&policy.to_toml()), Ok(policy)),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}
