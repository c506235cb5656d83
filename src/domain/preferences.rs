//! How somebody wants to see the console.

/// Light or dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// As the browser has it.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads the stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// What somebody has chosen for the console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preferences {
    /// Light or dark.
    pub theme: Theme,
    /// The IANA name of the time zone that times are shown in.
    pub time_zone: String,
    /// Whether single keys are commands.
    pub shortcuts: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: Theme::System, time_zone: "UTC".to_owned(), shortcuts: true }
    }
}
