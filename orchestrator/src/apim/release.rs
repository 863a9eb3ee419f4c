//! Versions and what depends on them: zip names, the JDKs a start script accepts, what is shipped switched on.

use std::fmt;

use apim_protocol::value::Sha256;

use super::role::Role;

/// A series that is known, such as 4.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// 4.5.x
    V4_5,
    /// 4.6.x
    V4_6,
    /// 4.7.x
    V4_7,
}

impl Series {
    /// Every series, oldest first.
    pub const ALL: [Self; 3] = [Self::V4_5, Self::V4_6, Self::V4_7];

    /// Returns the first two numbers as text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V4_5 => "4.5",
            Self::V4_6 => "4.6",
            Self::V4_7 => "4.7",
        }
    }

    /// Returns the oldest and newest JDK that the start scripts accept (wso2/product-apim, `startup-scripts`, tags v4.5.0 to v4.7.0).
    #[must_use]
    pub const fn java(self) -> (u32, u32) {
        match self {
            Self::V4_5 | Self::V4_6 => (11, 21),
            Self::V4_7 => (21, 25),
        }
    }
}

/// A version of the product, such as 4.6.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    series: Series,
}

/// Why a text is no version that can be deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not three numbers.
    #[error("version `{0}` is not of the form 4.6.0")]
    Form(String),
    /// A series that nobody taught us.
    #[error("version `{0}` is not known: 4.5.x, 4.6.x and 4.7.x are")]
    Unknown(String),
}

impl Version {
    /// Returns the version for `text`.
    ///
    /// # Errors
    /// When it is not three numbers, or of an unknown series.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let numbers: Vec<&str> = text.split('.').collect();
        let is_number = |n: &&str| !n.is_empty() && n.len() < 6 && n.chars().all(|c| c.is_ascii_digit());
        let [major, minor, _] = numbers.as_slice() else {
            return Err(VersionError::Form(text.to_owned()));
        };
        if !numbers.iter().all(is_number) {
            return Err(VersionError::Form(text.to_owned()));
        }
        let series = Series::ALL
            .into_iter()
            .find(|s| s.text().split_once('.') == Some((*major, *minor)))
            .ok_or_else(|| VersionError::Unknown(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), series })
    }

    /// Returns the series.
    #[must_use]
    pub const fn series(&self) -> Series {
        self.series
    }

    /// Returns its three numbers, which say which of two versions is newer.
    #[must_use]
    pub fn numbers(&self) -> Vec<u32> {
        self.text.split('.').map(|number| number.parse().unwrap_or(0)).collect()
    }

    /// Returns the file name of the zip that a role's nodes are made from.
    #[must_use]
    pub fn zip(&self, role: Role) -> String {
        format!("{}-{}.zip", role.zip_stem(), self.text)
    }

    /// Returns the name of a release on a host: the version and the beginning of its zip's digest, because update levels share a version.
    #[must_use]
    pub fn release(&self, zip: &Sha256) -> String {
        let digest: String = zip.to_string().chars().take(8).collect();
        format!("{}-{digest}", self.text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers_of_a_known_series() {
        assert_eq!(Version::parse("4.6.0").map(|v| v.series()), Ok(Series::V4_6));
        for bad in ["4.6", "4.6.0-alpha", "4..0", "", "4.6.0.1", "v4.6.0"] {
            assert_eq!(Version::parse(bad), Err(VersionError::Form(bad.to_owned())));
        }
        for unknown in ["4.4.0", "5.0.0", "4.60.0"] {
            assert_eq!(Version::parse(unknown), Err(VersionError::Unknown(unknown.to_owned())));
        }
    }

    #[test]
    fn numbers_tell_which_is_newer() {
        let numbers = |text| Version::parse(text).unwrap().numbers();
        assert!(numbers("4.6.10") > numbers("4.6.9") && numbers("4.6.0") > numbers("4.5.99"));
    }

    #[test]
    fn a_key_manager_is_made_from_the_control_planes_zip() {
        let version = Version::parse("4.6.0").unwrap();
        assert_eq!(version.zip(Role::KeyManager), "wso2am-acp-4.6.0.zip");
        assert_eq!(version.zip(Role::Gateway), "wso2am-universal-gw-4.6.0.zip");
    }
}
