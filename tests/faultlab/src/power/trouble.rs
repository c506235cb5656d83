//! A disk that fails on demand: the laboratory writes an order into a small file, and the layer under SQLite obeys it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// `fsync` gives EIO, and what it should have written may be lost.
    Sync = 1,
    /// A write gives EIO.
    Write,
    /// A read gives EIO.
    Read,
    /// There is no room but that of the ballast: no file can grow while the ballast is there.
    Full,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Sync, Self::Write, Self::Read, Self::Full];
}

/// How often: until it is called off.
pub(crate) const ALWAYS: u32 = u32::MAX;

/// Number, trouble and how often.
const LENGTH: usize = 16;

/// The laboratory's end.
pub(crate) struct Orders {
    file: File,
    number: u64,
}

impl Orders {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let orders = Self { file: File::create(path)?, number: 0 };
        orders.file.write_all_at(&[0; LENGTH], 0)?;
        Ok(orders)
    }

    /// From now on the next `count` operations of this kind fail. Earlier orders are forgotten.
    pub(crate) fn give(&mut self, trouble: Trouble, count: u32) -> std::io::Result<()> {
        self.number += 1;
        self.file.write_all_at(&encode(self.number, trouble as u32, count), 0)
    }

    pub(crate) fn call_off(&mut self) -> std::io::Result<()> {
        self.number += 1;
        self.file.write_all_at(&encode(self.number, 0, 0), 0)
    }
}

fn encode(number: u64, trouble: u32, count: u32) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..12].copy_from_slice(&trouble.to_le_bytes());
    bytes[12..].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<(u64, Trouble, u32)> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (trouble, rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*rest.first_chunk()?);
    let trouble = u32::from_le_bytes(*trouble);
    let trouble = Trouble::ALL.into_iter().find(|known| *known as u32 == trouble)?;
    Some((u64::from_le_bytes(*number), trouble, count))
}

/// The server's end.
struct Obeyed {
    file: File,
    ballast: PathBuf,
    /// The order that is being obeyed, and how often it has been.
    done: Mutex<(u64, u32)>,
}

static OBEYED: OnceLock<Obeyed> = OnceLock::new();

pub(super) fn open(path: &Path, ballast: PathBuf) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let obeyed = Obeyed { file, ballast, done: Mutex::new((0, 0)) };
    OBEYED.set(obeyed).map_err(|_| "there are orders already".to_owned())
}

/// Whether this operation shall fail now.
pub(super) fn strikes(trouble: Trouble) -> bool {
    OBEYED.get().is_some_and(|obeyed| obeyed.strikes(trouble))
}

impl Obeyed {
    fn strikes(&self, trouble: Trouble) -> bool {
        let mut bytes = [0; LENGTH];
        if self.file.read_exact_at(&mut bytes, 0).is_err() {
            return false;
        }
        let Some((number, _, count)) = decode(&bytes).filter(|(_, ordered, _)| *ordered == trouble) else {
            return false;
        };
        if trouble == Trouble::Full && !self.ballast.exists() {
            return false;
        }
        let Ok(mut done) = self.done.lock() else { return true };
        if done.0 != number {
            *done = (number, 0);
        }
        let strikes = done.1 < count;
        done.1 = done.1.saturating_add(1);
        strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_obeyed_as_often_as_it_says_and_a_full_disk_has_the_ballasts_room() {
        let folder = std::env::temp_dir().join(format!("faultlab-orders-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, ballast) = (folder.join("orders"), folder.join("ballast"));
        let mut orders = Orders::create(&path).unwrap();
        let obeyed = Obeyed { file: File::open(&path).unwrap(), ballast: ballast.clone(), done: Mutex::default() };
        assert!(!obeyed.strikes(Trouble::Sync));
        orders.give(Trouble::Sync, 2).unwrap();
        let strikes = [Trouble::Sync, Trouble::Write, Trouble::Sync, Trouble::Sync].map(|it| obeyed.strikes(it));
        assert_eq!(strikes, [true, false, true, false]);
        orders.give(Trouble::Sync, 1).unwrap();
        assert!(obeyed.strikes(Trouble::Sync) && !obeyed.strikes(Trouble::Sync));
        orders.give(Trouble::Full, ALWAYS).unwrap();
        assert!(!obeyed.strikes(Trouble::Full));
        std::fs::write(&ballast, "heavy").unwrap();
        assert!(obeyed.strikes(Trouble::Full) && obeyed.strikes(Trouble::Full));
        orders.call_off().unwrap();
        assert!(!obeyed.strikes(Trouble::Full));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
