//! Places in status lists: where an access token says that others can see whether it was revoked.
//!
//! A list has 2²⁰ places of one bit, which is 128 KiB (draft-ietf-oauth-status-list §4). A place is never given twice while
//! a token can name it.

/// How many bits the number of a place has.
const PLACE_BITS: u32 = 20;
/// How many places a list has.
pub const SIZE: u32 = 1 << PLACE_BITS;
/// How many lists there may be at a time: so many that a place and its list are one number of 31 bits.
pub const LISTS: u32 = 1 << 11;
/// Half of the bits of a place.
const HALF_BITS: u32 = PLACE_BITS / 2;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
/// Four are enough for a permutation that nobody can tell from a random one (Luby and Rackoff), if the halves were long.
const ROUNDS: u8 = 8;

/// Which of the lists that there are at a time: the list's number without what makes it longer than 11 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(u16);

impl Slot {
    /// The slot of the list with this number.
    pub fn of_list(number: i64) -> Self {
        Self(u16::try_from(number.rem_euclid(i64::from(LISTS))).unwrap_or_default())
    }
}

/// A place in a list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StatusIndex {
    slot: Slot,
    place: u32,
}

impl StatusIndex {
    /// The place of this number in the list; numbers beyond the end begin again.
    pub const fn new(slot: Slot, place: u32) -> Self {
        Self { slot, place: place % SIZE }
    }

    /// Which list.
    pub const fn slot(self) -> Slot {
        self.slot
    }

    /// Which place in it, from 0 on.
    pub const fn place(self) -> u32 {
        self.place
    }

    /// As the store has it: four bytes, which cost a row of Postgres nothing where it would be padded.
    pub fn to_stored(self) -> i32 {
        i32::try_from((u32::from(self.slot.0) << PLACE_BITS) | self.place).unwrap_or_default()
    }

    /// `None` for what [`Self::to_stored`] does not make.
    pub fn from_stored(stored: i32) -> Option<Self> {
        let stored = u32::try_from(stored).ok()?;
        Some(Self::new(Slot(u16::try_from(stored >> PLACE_BITS).ok()?), stored))
    }
}

/// What a list says of its places: 0 is valid, 1 is not. A place that was revoked stays so.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusBits(Box<[u8]>);

impl Default for StatusBits {
    fn default() -> Self {
        Self(vec![0; (SIZE / 8) as usize].into_boxed_slice())
    }
}

impl StatusBits {
    /// Says that what has this place was revoked; `false` when it was said before.
    pub fn revoke(&mut self, place: u32) -> bool {
        // The lowest bit of a byte is the first (§4.1).
        let bit = 1 << (place % 8);
        let byte = usize::try_from(place / 8).ok().and_then(|at| self.0.get_mut(at));
        byte.is_some_and(|byte| {
            let is_new = *byte & bit == 0;
            *byte |= bit;
            is_new
        })
    }

    /// The list as it is before it is compressed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for StatusBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let revoked: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        f.debug_struct("StatusBits").field("revoked", &revoked).finish_non_exhaustive()
    }
}

/// Where in the list the `serial`-th place lies that is given out: each once, in an order that nobody can guess who does
/// not know `round`, a function of a round's number and half a place. A Feistel network, which is its own inventory.
pub fn scatter(serial: u32, round: impl Fn(u8, u16) -> u32) -> u32 {
    let serial = serial % SIZE;
    let (mut left, mut right) = (serial >> HALF_BITS, serial & HALF_MASK);
    for number in 0..ROUNDS {
        let mixed = round(number, u16::try_from(right).unwrap_or_default()) & HALF_MASK;
        (left, right) = (right, left ^ mixed);
    }
    (left << HALF_BITS) | right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: u8, half: u16) -> u32 {
        let digest = crate::keyring::labelled_digest(b"a key", &[[number, 0], half.to_be_bytes()].concat());
        u32::from_be_bytes(digest[..4].try_into().unwrap())
    }

    #[test]
    fn i7_every_place_of_a_list_is_given_out_once_and_in_no_order() {
        let mut seen = StatusBits::default();
        let (mut rising, mut before) = (0, 0);
        for serial in 0..SIZE {
            let place = scatter(serial, round);
            assert!(place < SIZE && seen.revoke(place), "{serial} gives {place} again");
            rising += u32::from(place > before);
            before = place;
        }
        assert!(seen.as_bytes().iter().all(|byte| *byte == 0xff));
        // About half of a random order rises.
        assert!(rising.abs_diff(SIZE / 2) < SIZE / 100, "{rising}");
        // The first places of a list do not lie together.
        let (low, high) = (0..1_000)
            .map(|serial| scatter(serial, round))
            .fold((SIZE, 0), |(low, high), place| (low.min(place), high.max(place)));
        assert!(low < SIZE / 100 && high > SIZE / 100 * 99, "{low} to {high}");
    }

    #[test]
    fn i1_the_first_of_eight_places_is_the_lowest_bit_of_its_byte() {
        let statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        let mut bits = StatusBits::default();
        for place in (0_u32..).zip(statuses).filter(|(_, status)| *status == 1).map(|(place, _)| place) {
            assert!(bits.revoke(place));
            assert!(!bits.revoke(place));
        }
        assert_eq!(bits.as_bytes()[..3], [0xb9, 0xa3, 0]);
        assert_eq!(bits.as_bytes().len(), 131_072);
        assert!(!bits.revoke(SIZE), "there is no such place");
    }

    #[test]
    fn a_place_is_read_back_as_it_was_stored() {
        for (number, place) in [(0, 0), (1, 1), (2_047, SIZE - 1), (2_048, 5), (1_234_567_890_123, 77)] {
            let index = StatusIndex::new(Slot::of_list(number), place);
            assert_eq!(StatusIndex::from_stored(index.to_stored()), Some(index));
            assert_eq!(index.place(), place);
        }
        assert_eq!(StatusIndex::new(Slot::of_list(2_047), SIZE - 1).to_stored(), i32::MAX);
        assert_eq!(Slot::of_list(2_048), Slot::of_list(0));
        assert_eq!(StatusIndex::from_stored(-1), None);
    }
}
