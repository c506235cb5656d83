//! A layer over SQLite's own files that notes every change in the journal, fails when it is ordered to, and is otherwise
//! not there.
//!
//! A file of this layer is a header with the real file behind it. The real layer is never moved or freed by SQLite,
//! and gives every open file its methods.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr;

use libsqlite3_sys::{
    SQLITE_FULL, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_READ, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE,
    SQLITE_OK, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};

use super::journal;
use super::trouble::{self, Trouble};

/// Before the real file. SQLite aligns what it allocates to 8 bytes.
#[repr(C, align(8))]
struct Header {
    base: sqlite3_file,
    /// SQLite keeps the name until the file is closed. Null for temporary files.
    name: *const c_char,
}

/// Makes the layer what SQLite opens files through.
pub(super) fn install() -> Result<(), String> {
    // SAFETY: SQLite gives a layer that lives as long as the process. Ours is a copy of it that is never freed; the
    // functions of the Unix layer that are kept do not look at the layer they are called with.
    let code = unsafe {
        let real = sqlite3_vfs_find(ptr::null());
        if real.is_null() {
            return Err("SQLite has no layer for files".to_owned());
        }
        let header = c_int::try_from(size_of::<Header>()).unwrap_or(0);
        let ours = Box::leak(Box::new(*real));
        ours.szOsFile = (*real).szOsFile + header;
        ours.pNext = ptr::null_mut();
        ours.zName = c"faultlab".as_ptr();
        ours.pAppData = real.cast();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        sqlite3_vfs_register(ours, 1)
    };
    if code == SQLITE_OK { Ok(()) } else { Err(format!("SQLite refuses a layer for files: {code}")) }
}

unsafe fn real_vfs(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: the caller gives our own layer, whose data `install` has set.
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the caller gives a file of ours; SQLite has allocated `szOsFile` bytes for it.
    unsafe { file.cast::<u8>().add(size_of::<Header>()).cast() }
}

/// Notes a change of this file; files without a name are nobody's.
unsafe fn note(file: *mut sqlite3_file, kind: u8, number: i64, bytes: &[u8]) -> bool {
    // SAFETY: the caller gives a file of ours, which is open, so that its name is still there.
    let name = unsafe { (*file.cast::<Header>()).name };
    if name.is_null() {
        return true;
    }
    // SAFETY: SQLite's names end with a zero.
    let name = unsafe { CStr::from_ptr(name) };
    journal::note(name.to_bytes(), kind, u64::try_from(number).unwrap_or(0), bytes)
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our layer and memory of `szOsFile` bytes.
    unsafe {
        let below = real_vfs(vfs);
        (*file).pMethods = ptr::null();
        let Some(open) = (*below).xOpen else { return SQLITE_IOERR_WRITE };
        let code = open(below, name, real(file), flags, out);
        if !(*real(file)).pMethods.is_null() {
            (*file.cast::<Header>()).name = name;
            (*file).pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite calls this with our layer and a name that ends with a zero.
    unsafe {
        if !journal::note(CStr::from_ptr(name).to_bytes(), journal::DELETE, 0, &[]) {
            return SQLITE_IOERR_DELETE;
        }
        let below = real_vfs(vfs);
        (*below).xDelete.map_or(SQLITE_IOERR_DELETE, |delete| delete(below, name, sync))
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, count: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file of ours and `count` bytes.
    unsafe {
        if trouble::strikes(Trouble::Write) {
            note(file, journal::FAILED, 0, &[]);
            return SQLITE_IOERR_WRITE;
        }
        if grows(file, i64::from(count) + offset) && trouble::strikes(Trouble::Full) {
            note(file, journal::FAILED, 0, &[]);
            return SQLITE_FULL;
        }
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(count).unwrap_or(0));
        if !note(file, journal::WRITE, offset, bytes) {
            return SQLITE_IOERR_WRITE;
        }
        let below = real(file);
        (*(*below).pMethods).xWrite.map_or(SQLITE_IOERR_WRITE, |write| write(below, from, count, offset))
    }
}

/// Whether the file would be longer with its last byte before `end`. Files without a name are nobody's.
unsafe fn grows(file: *mut sqlite3_file, end: i64) -> bool {
    // SAFETY: the caller gives an open file of ours.
    unsafe {
        let (mut size, below) = (0, real(file));
        !(*file.cast::<Header>()).name.is_null()
            && (*(*below).pMethods).xFileSize.is_some_and(|measure| measure(below, &raw mut size) == SQLITE_OK)
            && end > size
    }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, count: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file of ours and room for `count` bytes.
    unsafe {
        if trouble::strikes(Trouble::Read) {
            note(file, journal::FAILED, 0, &[]);
            return SQLITE_IOERR_READ;
        }
        let below = real(file);
        (*(*below).pMethods).xRead.map_or(SQLITE_IOERR_READ, |read| read(below, to, count, offset))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file of ours.
    unsafe {
        if !note(file, journal::TRUNCATE, length, &[]) {
            return SQLITE_IOERR_TRUNCATE;
        }
        let below = real(file);
        (*(*below).pMethods).xTruncate.map_or(SQLITE_IOERR_TRUNCATE, |truncate| truncate(below, length))
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file of ours.
    unsafe {
        if trouble::strikes(Trouble::Sync) {
            note(file, journal::FAILED_SYNC, 0, &[]);
            return SQLITE_IOERR_FSYNC;
        }
        let below = real(file);
        let code = (*(*below).pMethods).xSync.map_or(SQLITE_IOERR_FSYNC, |sync| sync(below, flags));
        if code == SQLITE_OK && !note(file, journal::SYNC, 0, &[]) {
            return SQLITE_IOERR_FSYNC;
        }
        code
    }
}

/// The other methods go straight to the real file.
macro_rules! pass_on {
    ($($function:ident $method:ident ($($argument:ident: $kind:ty),*) -> $result:ty, or $otherwise:expr;)*) => {$(
        unsafe extern "C" fn $function(file: *mut sqlite3_file $(, $argument: $kind)*) -> $result {
            // SAFETY: SQLite gives an open file of ours, and arguments that are good for the real one.
            unsafe {
                let below = real(file);
                match (*(*below).pMethods).$method {
                    Some(method) => method(below $(, $argument)*),
                    None => $otherwise,
                }
            }
        }
    )*};
}

pass_on! {
    close xClose () -> c_int, or SQLITE_OK;
    file_size xFileSize (size: *mut sqlite3_int64) -> c_int, or SQLITE_IOERR_WRITE;
    lock xLock (level: c_int) -> c_int, or SQLITE_IOERR_WRITE;
    unlock xUnlock (level: c_int) -> c_int, or SQLITE_IOERR_WRITE;
    check_reserved_lock xCheckReservedLock (out: *mut c_int) -> c_int, or SQLITE_IOERR_WRITE;
    file_control xFileControl (operation: c_int, argument: *mut c_void) -> c_int, or SQLITE_IOERR_WRITE;
    sector_size xSectorSize () -> c_int, or 4096;
    device_characteristics xDeviceCharacteristics () -> c_int, or 0;
    shm_map xShmMap (page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int, or SQLITE_IOERR_WRITE;
    shm_lock xShmLock (offset: c_int, count: c_int, flags: c_int) -> c_int, or SQLITE_IOERR_WRITE;
    shm_barrier xShmBarrier () -> (), or ();
    shm_unmap xShmUnmap (delete: c_int) -> c_int, or SQLITE_OK;
    fetch xFetch (offset: sqlite3_int64, count: c_int, out: *mut *mut c_void) -> c_int, or SQLITE_OK;
    unfetch xUnfetch (offset: sqlite3_int64, page: *mut c_void) -> c_int, or SQLITE_OK;
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
