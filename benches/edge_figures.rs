//! The figures of the HTTP edge (P17): what our layer adds to a handler, and what another's does.
//!
//! Each application answers as many requests in turn, round after round; what is told is the
//! difference to the same handler without a layer, asked the same. `--quick` has fewer rounds.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench may stop, and its table is the point"
)]

mod edge_apps;

use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{Figure, HEADER, Unit};
use edge_apps::{Case, answer, cases};

const EACH: usize = 4000;
/// Theirs, where a use begins a session's time anew, as it does with ours.
const SLIDING: &str = "tower-sessions-sliding";
/// Theirs where it does not.
const LOADING: &str = "tower-sessions";

fn main() {
    let size = Size::asked(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut cases = cases(&runtime);
    let mut rounds = Rounds::default();
    for _ in 0..size.rounds(61) {
        for case in &mut cases {
            rounds.time(case.name, EACH, || {
                runtime.block_on(async {
                    for _ in 0..EACH {
                        answer(&case.app, (case.make)()).await;
                    }
                });
            });
        }
    }
    println!("{HEADER}");
    for name in ["session", "bearer", "form"] {
        over_bare(&rounds, &cases, name).at_most(2000.0).tell();
    }
    for name in [LOADING, SLIDING] {
        over_bare(&rounds, &cases, name).tell();
    }
    let theirs = |name: &str, what: &str| {
        let both = [
            added(&rounds, &cases, "session"),
            added(&rounds, &cases, name),
        ];
        let ratios: Vec<f64> = (0..both[0].len())
            .map(|round| both[0][round] / both[1][round])
            .collect();
        let what = format!("added by a session over what tower-sessions adds, {what}");
        let figure = Figure::ratio("P17", what, &ratios);
        figure.part("ours", &both[0]).part(name, &both[1])
    };
    theirs(SLIDING, "load and save").at_most(0.5).tell();
    theirs(LOADING, "load alone").tell();
}

/// What a layer adds to its bare handler, as a figure.
fn over_bare(rounds: &Rounds, cases: &[Case], name: &str) -> Figure {
    let what = format!("{name}, over the bare handler");
    let figure = Figure::of("P17", what, Unit::Ns, &added(rounds, cases, name));
    rounds.parts(figure, &[name, bare_of(cases, name)])
}

/// What a layer adds to its bare handler, round by round.
fn added(rounds: &Rounds, cases: &[Case], name: &str) -> Vec<f64> {
    let bare = rounds.of(bare_of(cases, name));
    let all = rounds.of(name).iter().zip(bare);
    all.map(|(with, without)| with - without).collect()
}

fn bare_of(cases: &[Case], name: &str) -> &'static str {
    let found = cases.iter().find(|case| case.name == name);
    found.unwrap().bare
}
