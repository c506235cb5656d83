//! What stands between whoever logs and standard error: nobody waits for it, and nobody fails with it.
//!
//! A collector that stops reading fills its pipe, and a disk of logs its space. Lines then wait here, and those that find
//! no room, or cannot be written, are counted; the count is a line of its own as soon as one can be written.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much waits at most, in bytes; as much again is being written.
const ROOM: usize = 4 * 1024 * 1024;
/// How long the end of the process waits for whoever reads the log.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines on their way.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    is_closed: bool,
    is_over: bool,
}

/// Ends the log with the process: what waits is written when this is dropped, unless nobody reads it.
pub(super) struct Open(Arc<Queue>);

/// Begins to write what comes. `say` is the line that tells how many were lost.
pub(super) fn open(
    sink: impl Write + Send + 'static,
    say: impl Fn(u64) -> String + Send + 'static,
) -> io::Result<(Arc<Queue>, Open)> {
    let queue = Arc::new(Queue::default());
    let writing = Arc::clone(&queue);
    let lines = Lines { sink, is_torn: false };
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_out(lines, say))?;
    Ok((Arc::clone(&queue), Open(queue)))
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, line: &[u8]) {
        let mut state = self.state();
        if state.is_over || state.waiting.len() + line.len() > ROOM {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.changed.notify_all();
    }

    fn write_out(&self, mut sink: Lines<impl Write>, say: impl Fn(u64) -> String) {
        loop {
            let is_idle = |state: &mut State| state.waiting.is_empty() && !state.is_closed;
            let mut state = self.changed.wait_while(self.state(), is_idle).unwrap_or_else(PoisonError::into_inner);
            let (lines, lost) = (mem::take(&mut state.waiting), mem::take(&mut state.lost));
            let is_last = state.is_closed;
            drop(state);
            let mut failed = 0;
            // What could not be said will be said later, with what is lost meanwhile.
            if lost > 0 && sink.write_line(say(lost).as_bytes()).is_err() {
                failed += lost;
            }
            // A write for each line: a pipe that others write to as well keeps short ones in one piece.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                failed += u64::from(sink.write_line(line).is_err());
            }
            let mut state = self.state();
            state.lost += failed;
            if is_last && state.waiting.is_empty() {
                let lost = mem::take(&mut state.lost);
                if lost > 0 {
                    // There is no later any more.
                    let _ = sink.write_line(say(lost).as_bytes());
                }
                state.is_over = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

/// Lines, into what may take a part of one and then fail.
struct Lines<W> {
    sink: W,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    /// Writes a line, behind the end of one that was written in part: that costs whoever reads it no other.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write_all(b"\n")?;
        }
        self.write_all(line)
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.sink.write(bytes)?;
        if let Some(last) = bytes.get(..count).and_then(<[u8]>::last) {
            self.is_torn = *last != b'\n';
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// A line, in one call.
pub(super) struct Line(pub(super) Arc<Queue>);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_all();
        let over = self.0.changed.wait_timeout_while(self.0.state(), PATIENCE, |state| !state.is_over);
        drop(over.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Says what it is given, and writes it when it is told to, or fails.
    struct Slow {
        given: Sender<Vec<u8>>,
        verdicts: Receiver<bool>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.given.send(bytes.to_vec()).unwrap();
            // Without anybody who tells, all is well.
            if self.verdicts.recv().unwrap_or(true) { Ok(bytes.len()) } else { Err(io::Error::other("full")) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Arc<Queue>, Open, Sender<bool>, Receiver<Vec<u8>>) {
        let ((given, gave), (tell, verdicts)) = (channel(), channel());
        let (queue, open) = open(Slow { given, verdicts }, |lost| format!("{lost} lost\n")).unwrap();
        (queue, open, tell, gave)
    }

    #[test]
    fn s3_whoever_logs_does_not_wait_and_lost_lines_are_counted_and_said() {
        let (queue, open, tell, gave) = slow();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        queue.take(&line);
        // It is being written from now on, and nobody reads it.
        assert_eq!(gave.recv().unwrap(), line);
        for _ in 0..ROOM / line.len() + 7 {
            assert_eq!(Line(Arc::clone(&queue)).write(&line).unwrap(), line.len());
        }
        assert!(queue.state().waiting.len() <= ROOM);
        drop(tell);
        assert_eq!(gave.recv().unwrap(), b"7 lost\n");
        drop(open);
        assert_eq!(gave.iter().count(), ROOM / line.len());
    }

    #[test]
    fn s3_lines_that_cannot_be_written_are_said_with_the_next_that_can() {
        let (queue, open, tell, gave) = slow();
        for verdict in [false, false, false, true, true] {
            tell.send(verdict).unwrap();
        }
        queue.take(b"first\n");
        assert_eq!(gave.recv().unwrap(), b"first\n");
        queue.take(b"second\n");
        drop(tell);
        drop(open);
        let rest: Vec<_> = gave.iter().collect();
        let said: Vec<_> = rest.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(said, ["1 lost\n", "second\n", "2 lost\n"]);
    }

    /// A disk on which so much room is found each time, and then none.
    struct Disk {
        rooms: Vec<usize>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.rooms.pop() {
                Some(0) => Err(io::ErrorKind::StorageFull.into()),
                room => {
                    let count = bytes.len().min(room.unwrap_or(usize::MAX));
                    self.written.send(bytes[..count].to_vec()).unwrap();
                    Ok(count)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn s3_a_line_that_was_written_in_part_spoils_no_other() {
        let (sender, written) = channel();
        // A whole line, a part of one, nothing of one, and then all.
        let disk = Disk { rooms: vec![0, 0, 4, 100], written: sender };
        let (queue, open) = open(disk, |lost| format!("{lost} lost\n")).unwrap();
        queue.take(b"first\nsecond\nthird\nfourth\n");
        drop(open);
        let written: Vec<u8> = written.iter().flatten().collect();
        assert_eq!(String::from_utf8(written).unwrap(), "first\nseco\nfourth\n2 lost\n");
    }

    #[test]
    fn what_waits_at_the_end_is_written() {
        let (queue, open, tell, gave) = slow();
        drop(tell);
        for _ in 0..1_000 {
            queue.take(b"line\n");
        }
        drop(open);
        assert_eq!(gave.iter().count(), 1_000);
    }
}
