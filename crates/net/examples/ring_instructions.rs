//! Work of the rings between media threads whose instructions are counted by `bench/instructions`: `ring_instructions CASE` does
//! a case so often as it says on its output, and what counts is done within `counted_here`, which callgrind is told to look at.

use std::{error::Error, hint::black_box};

use stentor_net::ring::ring;

const CAPACITY: usize = 1_024;
const ROUNDS: u64 = 1_000;

/// About as long as what shards tell one another.
type Value = [u64; 20];

fn main() -> Result<(), Box<dyn Error>> {
    let case = std::env::args().nth(1).unwrap_or_default();
    let (mut producer, mut consumer) = ring::<Value>(CAPACITY);
    for number in 0..ROUNDS {
        let value = [number; 20];
        let came = match case.as_str() {
            "push" => {
                if !counted_here(|| producer.push(value).is_ok()) {
                    return Err("the ring is full".into());
                }
                consumer.pop()
            }
            "pop" => {
                producer.push(value).map_err(|_| "the ring is full")?;
                counted_here(|| consumer.pop())
            }
            _ => return Err(format!("there is no case {case:?}").into()),
        };
        assert_eq!(came, Some(value));
    }
    println!("{ROUNDS}");
    Ok(())
}

/// What counts. The name is what callgrind is told.
#[inline(never)]
fn counted_here<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}
