//! The test vectors of the draft: its two short lists and the four of its appendix.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::verifier::{bytes, status};

/// Each with its bits for a place, its size, the places that are not 0, and the list as the draft has it.
fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

#[test]
fn i1_i2_all_six_vectors_of_the_draft_say_what_they_should_at_every_place() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 6);
    for vector in &vectors {
        let (bits, size) = (vector["bits"].as_u64().unwrap(), vector["size"].as_u64().unwrap());
        let bytes = bytes(vector);
        assert_eq!(bytes.len() as u64, size * bits / 8);
        let entries: Vec<(usize, u8)> = serde_json::from_value(vector["entries"].clone()).unwrap();
        let expected: BTreeMap<usize, u8> = entries.into_iter().collect();
        let mut found = BTreeMap::new();
        let per_byte = usize::try_from(8 / bits).unwrap();
        for at in (0..bytes.len()).filter(|at| bytes[*at] != 0) {
            for place in at * per_byte..(at + 1) * per_byte {
                let shift = place % per_byte * usize::try_from(bits).unwrap();
                let value = (bytes[at] >> shift) & (0xff >> (8 - bits));
                if value != 0 {
                    found.insert(place, value);
                }
            }
        }
        assert_eq!(found, expected, "{bits} bits, {size} places");
    }
    let counts: Vec<usize> = vectors.iter().map(|vector| vector["entries"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [9, 9, 11, 11, 15, 255]);
}

#[test]
fn i1_places_are_counted_from_the_lowest_bit_and_there_is_nothing_behind_the_end() {
    let [first, second] = vectors().try_into().map(|[first, second, ..]: [Value; 6]| [first, second]).unwrap();
    assert_eq!((bytes(&first), bytes(&second)), (vec![0xb9, 0xa3], vec![0xc9, 0x44, 0xf9]));
    assert_eq!([0, 1, 3, 15, 16].map(|place| status(&first, place)), [Some(1), Some(0), Some(1), Some(1), None]);
    assert_eq!(
        [0, 1, 2, 3, 11, 12].map(|place| status(&second, place)),
        [Some(1), Some(2), Some(0), Some(3), Some(3), None]
    );
    assert_eq!(status(&json!({ "bits": 3, "lst": first["lst"] }), 0), None);
}
