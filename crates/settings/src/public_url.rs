//! [`PublicUrl`]: the address by which others reach this program, from the setting or from the command line.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An address by `https` or `http`, perhaps with a path under which a proxy has this program, without a slash at its end.
/// Nothing in it is secret, and nothing means anything to a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

const MEND: &str = "write it such as \"https://scale.example\" or \"https://shop.example/autoscalebot\"";

impl PublicUrl {
    /// The address of this URL, or what is wrong with it.
    pub fn new(url: &Url) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("{what}: {MEND}"));
        let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return wrong("must be an address by https or http");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("must have neither user nor password: who may send is known by the token of the measurement");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("must end with its path");
        }
        if url.path().contains("//") || !url.path().chars().all(fits) {
            return wrong("must have a path of letters, digits, - _ . ~ and slashes alone");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// As text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there can be read on its way.
    pub fn is_in_the_clear(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(&text.parse().map_err(|error| format!("is no URL ({error}): {MEND}"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_addresses() {
        for (written, address) in [
            ("https://scale.example", "https://scale.example"),
            ("https://Scale.example:443/", "https://scale.example"),
            ("http://127.0.0.1:7878/a/b/", "http://127.0.0.1:7878/a/b"),
        ] {
            assert_eq!(written.parse::<PublicUrl>().map(|url| url.to_string()), Ok(address.to_owned()), "{written}");
        }
        for (bad, said) in [
            ("scale.example", "is no URL"),
            ("ftp://scale.example", "by https or http"),
            ("https://mon:pw-EXAMPLE@scale.example", "neither user nor password"),
            ("https://scale.example/?a=b", "must end with its path"),
            ("https://scale.example/a;b", "must have a path"),
            ("https://scale.example/a//b", "must have a path"),
        ] {
            let error = bad.parse::<PublicUrl>().unwrap_err();
            assert!(error.contains(said) && !error.contains("EXAMPLE"), "{bad}: {error}");
        }
        assert!("http://a".parse::<PublicUrl>().unwrap().is_in_the_clear());
        assert!(!"https://a".parse::<PublicUrl>().unwrap().is_in_the_clear());
    }
}
