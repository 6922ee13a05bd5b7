//! Hazard: a measurement that is not made, or made of nothing.

use crate::place::Place;

#[test]
fn everything_that_is_announced_is_measured() {
    let place = Place::new();
    let measures = place
        .run(&["--json", "bench", "--tokens", "1000"])
        .done()
        .objects();
    let names: Vec<_> = measures
        .iter()
        .map(|one| one["measure"].as_str().unwrap())
        .collect();
    let expected = [
        "parse",
        "hash",
        "miss",
        "verify, cached",
        "checksum",
        "unknown",
        "mismatch",
        "revoked",
        "disabled",
        "read one record",
        "verify, uncached",
        "durable issue, alone",
        "durable issue, of 64 issuers",
    ];
    assert_eq!(names, expected);
    for one in &measures {
        assert!(one["nanos"].as_f64().unwrap() > 0.0, "{one}");
        assert!(
            one.get("ratio")
                .is_none_or(|ratio| ratio.as_f64().unwrap() > 0.0),
            "{one}"
        );
    }
}
