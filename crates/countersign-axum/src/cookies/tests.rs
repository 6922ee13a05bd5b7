//! Hazard: a cookie that a browser drops, keeps when it should go, or takes from somebody else.

use super::*;
use countersign::Draft;
use countersign::core::TOKEN_TEXT_MAX;
use countersign::core::csrf::CSRF_COOKIE_MAX;

fn plan_of(change: impl FnOnce(&mut Draft)) -> Result<CookiePlan, CookieNameError> {
    plan_named(CookieNames::HostPrefix, change)
}

fn plan_named(
    names: CookieNames,
    change: impl FnOnce(&mut Draft),
) -> Result<CookiePlan, CookieNameError> {
    let mut draft = Draft::default();
    change(&mut draft);
    CookiePlan::new(Arc::new(draft.build().unwrap()), names)
}

fn set(plan: &CookiePlan, role: Role, age_s: Option<u64>) -> String {
    let value = plan.set(role, "v", age_s).unwrap();
    value.to_str().unwrap().to_owned()
}

#[test]
fn by_default_every_cookie_of_a_secret_is_of_this_host_alone() {
    let plan = plan_of(|_| {}).unwrap();
    assert_eq!(
        set(&plan, Role::Session, None),
        "__Host-session=v; HttpOnly; SameSite=Lax; Secure; Path=/"
    );
    assert_eq!(
        set(&plan, Role::Remember, Some(60)),
        "__Host-seraph.rememberme.cookie=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
    );
    assert_eq!(
        set(&plan, Role::Scripts, None),
        "atlassian.xsrf.token=v; SameSite=Lax; Secure; Path=/"
    );
}

#[test]
fn a_prefix_stands_only_where_its_rules_hold() {
    type Change = fn(&mut Draft);
    let cases: [(Change, [&str; 3]); 6] = [
        (
            |d| d.remember_me.cookie_path = "/app".into(),
            ["__Secure-session", "__Secure-seraph", "xsrf"],
        ),
        (
            |d| d.remember_me.cookie_domain = Some("example.org".into()),
            ["__Secure-session", "__Secure-seraph", "xsrf"],
        ),
        (
            |d| d.remember_me.cookie_secure = false,
            ["session", "seraph", "xsrf"],
        ),
        (
            |d| d.remember_me.cookie_name = "__Secure-me".into(),
            ["__Host-session", "__Secure-me", "xsrf"],
        ),
        (
            |d| {
                d.remember_me.cookie_name = "__secure-me".into();
                d.sessions.cookie_name = "__HOST-x".into();
                d.remember_me.cookie_secure = false;
            },
            ["x", "me", "xsrf"],
        ),
        (
            |d| {
                d.remember_me.cookie_name = "__Secure-me".into();
                d.remember_me.cookie_path = "/app".into();
            },
            ["__Secure-session", "__Secure-me", "xsrf"],
        ),
    ];
    for (change, names) in cases {
        let plan = plan_of(|draft| {
            draft.remember_me.cookie_name = "seraph".into();
            draft.form_tokens.cookie_name = "xsrf".into();
            change(draft);
        })
        .unwrap();
        assert_eq!(Role::ALL.map(|role| plan.name(role)), names);
    }
    let plan = plan_named(CookieNames::AsInPolicy, |_| {}).unwrap();
    assert_eq!(plan.name(Role::Remember), "seraph.rememberme.cookie");
    assert_eq!(plan.name(Role::Session), "__Host-session");
    let plan = plan_named(CookieNames::AsInPolicy, |draft| {
        draft.remember_me.cookie_path = "/app".into();
    })
    .unwrap();
    let names = Role::ALL.map(|role| plan.name(role).to_owned());
    assert_eq!(
        names,
        [
            "session",
            "seraph.rememberme.cookie",
            "atlassian.xsrf.token"
        ]
    );
}

#[test]
fn two_cookies_of_one_name_are_refused() {
    let same = plan_of(|draft| {
        draft.sessions.cookie_name = "__Host-a".into();
        draft.remember_me.cookie_name = "a".into();
    });
    assert_eq!(same.unwrap_err(), CookieNameError::Twice("__Host-a".into()));
    let alone = plan_of(|draft| {
        draft.sessions.cookie_name = "__Host-".into();
        draft.remember_me.cookie_path = "/app".into();
    });
    assert_eq!(
        alone.unwrap_err(),
        CookieNameError::PrefixAlone("__Host-".into())
    );
}

#[test]
fn a_deletion_repeats_what_makes_it_the_same_cookie() {
    let plan = plan_of(|draft| {
        draft.remember_me.cookie_path = "/app".into();
        draft.remember_me.cookie_domain = Some("example.org".into());
    })
    .unwrap();
    for role in Role::ALL {
        let cleared = plan.clear(role).unwrap();
        let cleared = cleared.to_str().unwrap();
        for part in [
            &format!("{}=;", plan.name(role)),
            "; Secure",
            "; Path=/app",
            "; Domain=example.org",
            "; Max-Age=0",
            "; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ] {
            assert!(cleared.contains(part), "{cleared} has no {part}");
        }
    }
}

#[test]
fn an_age_is_what_browsers_keep_at_most() {
    let plan = plan_of(|_| {}).unwrap();
    for age_s in [MAX_AGE_S, u64::MAX] {
        assert!(set(&plan, Role::Remember, Some(age_s)).ends_with("; Max-Age=34560000"));
    }
    assert!(set(&plan, Role::Remember, Some(0)).ends_with("; Max-Age=0"));
}

/// RFC 6265bis has browsers drop a cookie whose name and value are longer together (ASVS 3.3.5).
#[test]
fn the_longest_that_a_policy_allows_is_kept_by_browsers() {
    const KEPT: usize = 4096;
    let plan = plan_of(|draft| {
        draft.sessions.cookie_name = "s".repeat(128);
        draft.remember_me.cookie_name = "r".repeat(128);
        draft.form_tokens.cookie_name = "f".repeat(128);
    })
    .unwrap();
    // An age is no part of it, nor are path and domain.
    let longest = TOKEN_TEXT_MAX.max(CSRF_COOKIE_MAX);
    for role in Role::ALL {
        let length = plan.name(role).len().saturating_add(longest);
        assert!(length <= KEPT, "{role:?}: {length}");
    }
}
