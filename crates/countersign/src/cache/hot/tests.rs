//! Hazard: two shards share a slot, or one that grows moves what is a neighbour's.

use super::*;

/// Three neighbourhoods, of which the last is not full.
const SHARDS: usize = 10;

fn hash(key: [u64; 2]) -> u64 {
    (key[0] ^ key[1].rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn image(shard: usize, number: u64) -> Image {
    let mut words = [number; WORDS];
    words[0] = u64::try_from(shard).unwrap().wrapping_add(1);
    words[1] = number.wrapping_add(1).wrapping_mul(0xd129_0d3b_3b47_3f27);
    Image(words)
}

fn place(shard: usize, image: &Image) -> Place {
    let hash = hash(image.key());
    Place { shard, hash }
}

/// How many are put into a shard: very different numbers, so that neighbours grow apart.
fn count(shard: usize) -> u64 {
    [3, 700, 0, 40, 900, 1, 5, 300, 12, 600][shard]
}

#[test]
fn every_shard_keeps_its_own_while_its_neighbours_grow() {
    shuttle::check_random(
        || {
            let hot = Hot::new(SHARDS);
            let mut kept = Vec::new();
            for number in 0..900 {
                for shard in (0..SHARDS).filter(|shard| number < count(*shard)) {
                    let image = image(shard, number);
                    if hot.put(place(shard, &image), &image, &hash) {
                        kept.push((shard, image));
                    }
                }
            }
            for shard in 0..SHARDS {
                let own = kept.iter().filter(|(of, _)| *of == shard).count();
                let used = hot.used[shard].load(Ordering::Relaxed);
                let found = kept
                    .iter()
                    .filter(|(of, image)| *of == shard && is_there(&hot, shard, image));
                let found = found.count();
                // What found no room as its shard grew is gone from it, and counted so.
                assert_eq!(u64::try_from(found).unwrap(), used, "shard {shard}");
                assert!(found * 100 >= own * 95, "{found} of {own} in {shard}");
                assert!(own as u64 * 100 >= count(shard) * 95, "{own} in {shard}");
            }
            // Another shard has none of them, though it looks in places alike.
            for (shard, image) in &kept {
                let other = (shard + 1) % SHARDS;
                assert!(!is_there(&hot, other, image), "{shard} in {other}");
            }
            // What is cleared is gone, and nothing of a neighbour with it.
            for (shard, image) in kept.iter().filter(|(shard, _)| shard % 2 == 0) {
                hot.clear(place(*shard, image), image.key());
                assert!(!is_there(&hot, *shard, image));
            }
            for shard in 0..SHARDS {
                let used = hot.used[shard].load(Ordering::Relaxed);
                assert_eq!(used == 0, shard % 2 == 0 || count(shard) == 0, "{shard}");
            }
        },
        1,
    );
}

fn is_there(hot: &Hot, shard: usize, image: &Image) -> bool {
    let found = hot.find(place(shard, image), image.key());
    found.is_some_and(|found| found.image.0 == image.0)
}
