//! The server's secret: read from where it is configured, and made for a new SQLite store.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::entropy::{self, NoEntropy};
use crate::config::{self, SecretKeySource};
use crate::secret::Secret;

/// Why there is no secret to work with. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// There is a store and its secret is gone.
    #[error(
        "{path} is missing, and the store that it belongs to is there already. Put the file back, or set SECRET_KEY to \
         its content. Without it the store's sessions and signing keys are lost: then move the store away and start anew"
    )]
    Missing {
        /// The file that should hold it.
        path: PathBuf,
    },
    /// The file named by `SECRET_KEY_FILE` is not there.
    #[error("SECRET_KEY_FILE names {path}, which is not there. Make it with: openssl rand -base64 32 > {path}")]
    NotThere {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The file holds no usable secret.
    #[error("{path} {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to write. It does not repeat the content.
        problem: String,
    },
    /// None could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Reads the secret, or makes one, readable by its owner alone, when the store is new and no file was named.
pub fn load(source: &SecretKeySource, store_is_new: bool) -> Result<Secret<Vec<u8>>, SecretKeyError> {
    match source {
        SecretKeySource::Inline(secret) => Ok(secret.clone()),
        SecretKeySource::File { path, explicit } => match read(path)? {
            Some(secret) => Ok(secret),
            None if *explicit => Err(SecretKeyError::NotThere { path: path.clone() }),
            None if !store_is_new => Err(SecretKeyError::Missing { path: path.clone() }),
            None => {
                make(path).map_err(|error| SecretKeyError::File { path: path.clone(), error })??;
                // Another process may have been quicker; what is in the file counts.
                read(path)?.ok_or_else(|| SecretKeyError::Missing { path: path.clone() })
            }
        },
    }
}

fn read(path: &Path) -> Result<Option<Secret<Vec<u8>>>, SecretKeyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SecretKeyError::File { path: path.to_owned(), error }),
    };
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
        tracing::warn!(
            "{} holds the server's secret and every account on this machine may read it; run chmod 600 on it",
            path.display()
        );
    }
    let unusable = |problem| SecretKeyError::Unusable { path: path.to_owned(), problem };
    config::parse_secret_key(&text).map(Some).map_err(unusable)
}

/// Writes a new secret under another name first, so that nobody ever reads half of one, and never over a file.
fn make(path: &Path) -> io::Result<Result<(), NoEntropy>> {
    let (secret, suffix) = match (entropy::bytes::<32>(), entropy::uuid()) {
        (Ok(secret), Ok(suffix)) => (Zeroizing::new(secret), suffix),
        _ => return Ok(Err(NoEntropy)),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let draft = path.with_extension(suffix.to_string());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written =
        write_whole(&mut file, &Zeroizing::new(STANDARD.encode(secret.as_slice()))).and_then(|()| match fs::hard_link(
            &draft, path,
        ) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        });
    fs::remove_file(&draft)?;
    written.map(Ok)
}

fn write_whole(file: &mut File, text: &str) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(path: &Path, explicit: bool) -> SecretKeySource {
        SecretKeySource::File { path: path.to_owned(), explicit }
    }

    #[test]
    fn t1_a_new_store_gets_a_secret_that_only_its_owner_can_read_and_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/secret.key");
        let made = load(&in_file(&path, false), true).unwrap();
        assert_eq!(made.expose().len(), 32);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&in_file(&path, false), false).unwrap().expose(), made.expose());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn t1_a_store_without_its_secret_is_refused_and_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        for (explicit, is_new) in [(false, false), (true, true), (true, false)] {
            let error = load(&in_file(&path, explicit), is_new).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_file_without_a_usable_secret_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        for content in ["", "c2hvcnQtc2VjcmV0", "hunter2 hunter2", &"A".repeat(44)] {
            fs::write(&path, content).unwrap();
            let error = load(&in_file(&path, false), false).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("openssl rand") && (content.is_empty() || !error.contains(content)), "{error}");
        }
    }
}
