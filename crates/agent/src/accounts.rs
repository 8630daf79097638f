//! Users and groups by name, found as Go finds them without the system's library: in `passwd` and `group` of the agent's own `/etc`.

use std::path::{Path, PathBuf};

use sidekey_template::Account;

use crate::local;

/// Where the two files lie.
pub(crate) struct Accounts(PathBuf);

/// One of the two files.
struct Table {
    file: &'static str,
    what: &'static str,
    /// Columns of a line, and those that hold numbers; the number looked for is in the first of these.
    columns: usize,
    numbers: &'static [usize],
}

const USERS: Table = Table { file: "passwd", what: "user", columns: 7, numbers: &[2, 3] };
const GROUPS: Table = Table { file: "group", what: "group", columns: 4, numbers: &[2] };

impl Accounts {
    /// Those of the container.
    pub(crate) fn own() -> Self {
        Self(PathBuf::from("/etc"))
    }

    /// The user's number.
    ///
    /// # Errors
    /// There is no such user, or no file that would know.
    pub(crate) fn user(&self, account: Option<&Account>) -> Result<Option<u32>, String> {
        account.map(|account| USERS.find(&self.0, account)).transpose()
    }

    /// The group's number.
    ///
    /// # Errors
    /// There is no such group, or no file that would know.
    pub(crate) fn group(&self, account: Option<&Account>) -> Result<Option<u32>, String> {
        account.map(|account| GROUPS.find(&self.0, account)).transpose()
    }
}

impl Table {
    /// Read anew for each file that is written: a mounted one may change.
    fn find(&self, dir: &Path, account: &Account) -> Result<u32, String> {
        let name = match account {
            Account::Number(number) => return Ok(*number),
            Account::Name(name) => name,
        };
        let path = dir.join(self.file);
        let known = local::regular(&path).map_err(|error| {
            format!("the {} {name:?} cannot be looked up in {}: {error}", self.what, path.display())
        })?;
        let text = String::from_utf8_lossy(known.expose());
        let found = text.lines().find_map(|line| self.number(line.trim(), name));
        found.ok_or_else(|| format!("there is no {} {name:?} in {}", self.what, path.display()))
    }

    fn number(&self, line: &str, name: &str) -> Option<u32> {
        let columns: Vec<&str> = line.splitn(self.columns, ':').collect();
        let meant = columns.len() == self.columns && columns[0] == name && !line.starts_with('#');
        let numbers = self.numbers.iter().map(|column| columns.get(*column)?.parse::<u32>().ok());
        let numbers: Vec<u32> = numbers.collect::<Option<_>>().filter(|_| meant)?;
        // All ones would mean "unchanged" to the system.
        numbers.first().copied().filter(|number| *number != u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_where_go_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let users = "# app:x:1:1::/:/\nbad:x:5\nodd:x:y:1::/:/\nodd:x:7:z::/:/\n  app:x:100:1000:App:/home/app:/bin/sh\n\
            app:x:101:1:second::/\nodd:x:8:9::/:\nall:x:4294967295:1::/:/\n";
        std::fs::write(dir.path().join("passwd"), users).unwrap();
        std::fs::write(dir.path().join("group"), "wheel:x:10:root,app\nempty:x:11:\nshort:x:12\n+nis:x:13:\n").unwrap();
        let accounts = Accounts(dir.path().to_owned());
        let name = |name: &str| Account::Name(name.to_owned());
        let user =
            |text| accounts.user(Some(&name(text))).map_err(|error| error.split(" in ").next().unwrap().to_owned());
        let group =
            |text| accounts.group(Some(&name(text))).map_err(|error| error.split(" in ").next().unwrap().to_owned());
        let no = |what: &str, name: &str| Err(format!("there is no {what} {name:?}"));
        assert_eq!(user("app"), Ok(Some(100)));
        assert_eq!(user("odd"), Ok(Some(8)), "the first line that is whole");
        for none in ["bad", "all", "# app", "ap", "wheel"] {
            assert_eq!(user(none), no("user", none));
        }
        assert_eq!((group("wheel"), group("empty")), (Ok(Some(10)), Ok(Some(11))));
        assert_eq!((group("short"), group("root")), (no("group", "short"), no("group", "root")));
        assert_eq!(accounts.user(Some(&Account::Number(0))), Ok(Some(0)));
        assert_eq!((accounts.user(None), accounts.group(None)), (Ok(None), Ok(None)));
        let nowhere = Accounts(dir.path().join("none"));
        let said = nowhere.group(Some(&name("wheel"))).unwrap_err();
        assert!(
            said.starts_with("the group \"wheel\" cannot be looked up in ") && said.ends_with("no regular file"),
            "{said}"
        );
    }
}
