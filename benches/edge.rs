//! A request through the HTTP edge, by session, by access token and with a form, beside the bare
//! handler and beside `tower-sessions` with its store in memory; `edge_figures` has P17.
//!
//! No network and no server: what is measured is what stands between them and the handler.

mod edge_apps;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use edge_apps::{answer, cases};

fn edge(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    for mut case in cases(&runtime) {
        let mut group = criterion.benchmark_group(format!("edge/over {}", case.bare));
        group.throughput(Throughput::Elements(1));
        group.bench_function(case.name, |bench| {
            bench.iter(|| runtime.block_on(answer(&case.app, (case.make)())));
        });
        group.finish();
    }
}

criterion_group!(benches, edge);
criterion_main!(benches);
