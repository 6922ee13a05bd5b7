//! Which benches are run, with what, and what a run may be kept from.

use super::*;

fn names(options: &Options) -> Vec<String> {
    let suites = options.suites().unwrap();
    suites.iter().map(|suite| suite.name()).collect()
}

fn filtered(text: &str) -> Options {
    Options {
        filter: Some(text.into()),
        ..Options::default()
    }
}

#[test]
fn growth_postgres_and_peers_run_where_they_are_asked_for() {
    let mut options = Options::default();
    let always = ["figures", "sessions", "durable", "images", "edge_figures"];
    assert_eq!(names(&options), always);
    options.growth = true;
    assert_eq!(names(&options)[5..], ["growth"]);
    options.peers = true;
    let peers = ["growth", "peers/verify", "peers/sessions"];
    assert_eq!(names(&options)[5..8], peers);
    options.postgres = true;
    let all = ["growth", "postgres", "peers/verify"];
    assert_eq!(names(&options)[5..8], all);
}

#[test]
fn a_filter_takes_part_of_a_name_and_names_all_where_it_takes_none() {
    assert_eq!(names(&filtered("fig")), ["figures", "edge_figures"]);
    let options = Options {
        peers: true,
        ..filtered("peers")
    };
    assert_eq!(names(&options).len(), 4);
    let error = filtered("nothing").suites().unwrap_err().to_string();
    assert!(
        error.contains("edge_figures, growth, postgres, peers/verify"),
        "{error}"
    );
}

#[test]
fn each_command_says_what_is_run_and_how() {
    let commands = |quick| {
        SUITES
            .iter()
            .map(move |suite| text_of(&suite.command(quick)))
    };
    let full: Vec<String> = commands(false).collect();
    let quick: Vec<String> = commands(true).collect();
    let ours = "cargo bench --manifest-path benches/Cargo.toml --bench";
    assert_eq!(full[0], format!("{ours} figures"));
    assert_eq!(quick[0], format!("{ours} figures -- --quick"));
    assert_eq!(full[5], format!("{ours} growth -- --full"));
    assert_eq!(quick[5], format!("{ours} growth -- --quick"));
    let peers = "cargo bench --manifest-path benches/peers/Cargo.toml --bench verify";
    assert_eq!(full[6], format!("{ours} postgres"));
    assert_eq!(full[7], peers);
}

#[test]
fn a_run_in_part_is_not_kept() {
    let keep = Options {
        keep: true,
        ..Options::default()
    };
    assert_eq!(keep.check(), Ok(()));
    assert!(
        Options {
            quick: true,
            ..keep
        }
        .check()
        .is_err()
    );
    let keep = Options {
        keep: true,
        ..filtered("figures")
    };
    assert!(keep.check().is_err());
}

#[test]
fn nothing_of_the_run_before_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("peers.svg");
    fs::write(&stale, "x").unwrap();
    let lines = emptied(folder.path()).unwrap();
    assert!(!stale.exists());
    assert_eq!(fs::read_to_string(lines).unwrap(), "");
}

#[test]
fn criterion_runs_where_it_is_asked_for() {
    assert!(Options::default().criteria().is_empty());
    let options = Options {
        criterion: true,
        ..filtered("edge")
    };
    assert_eq!(options.criteria(), ["edge"]);
}
