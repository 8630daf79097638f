//! The helpers of handlebars.

use super::{Function, evaluator, pure, refused};
use crate::hbs;
use crate::helpers::{case, digest, encode, quoting, shell, text};

const DEBUG: &str = "A debugging aid that prints secrets to the log.";

/// Sorted by name; one row, one line.
#[rustfmt::skip]
pub(crate) static HANDLEBARS: &[Function] = &[
    evaluator("and", "and A B", "Whether both are true."),
    pure("base64", "base64 TEXT", "Standard alphabet with padding.", "a", encode::base64_encode),
    pure("base64Decode", "base64Decode TEXT", "The text; bytes that are not UTF-8 are an error (Go templates write them).", "a", encode::base64_decode),
    pure("default", "default VALUE FALLBACK", "The fallback for an empty value.", "aa", hbs::helpers::default),
    evaluator("each", "#each COLLECTION", "With `@key`, `@index`, `@first`, `@last`, or `as |value key|`."),
    evaluator("env", "env NAME", "A variable of the agent's container; an error when unset."),
    pure("envName", "envName TEXT", "The text itself, if it is a name that shells can hold in a variable.", "a", shell::env_name),
    evaluator("eq", "eq A B", "Whether they are equal."),
    evaluator("file", "file PATH", "The text of a file in the agent's container, as the function of Go templates reads it; bytes that are not UTF-8 are an error."),
    evaluator("gt", "gt A B", "A > B."),
    evaluator("gte", "gte A B", "A >= B."),
    evaluator("if", "#if VALUE", "Else-branch for what is missing, null, false, zero or empty."),
    pure("indent", "indent TEXT SPACES", "Spaces before each line that is not empty.", "aa", hbs::helpers::indent),
    pure("iniKey", "iniKey TEXT", "The text itself, if it is a key or a section of an INI file.", "a", quoting::ini_key),
    pure("iniValue", "iniValue TEXT", "Quoted as a value of an INI file, if it must be.", "a", quoting::ini),
    pure("join", "join LIST SEPARATOR", "The strings of a list, joined.", "aa", hbs::helpers::join),
    pure("json", "json VALUE", "Compact, keys sorted, no HTML escapes.", "a", encode::to_unescaped_json),
    pure("jsonPretty", "jsonPretty VALUE", "With two spaces of indentation.", "a", encode::to_unescaped_json_pretty),
    evaluator("len", "len VALUE", "Elements of a list or map."),
    refused("log", DEBUG),
    evaluator("lookup", "lookup COLLECTION KEY", "The element; an error when it is not there."),
    pure("lower", "lower TEXT", "In small letters.", "a", case::to_lower),
    evaluator("lt", "lt A B", "A < B."),
    evaluator("lte", "lte A B", "A <= B."),
    pure("mycnfValue", "mycnfValue TEXT", "Quoted as a value of a MySQL option file.", "a", quoting::mycnf),
    evaluator("ne", "ne A B", "Whether they differ."),
    pure("netrcWord", "netrcWord TEXT", "Quoted as a word of a netrc file, if it must be.", "a", quoting::netrc),
    evaluator("not", "not VALUE", "Whether it is false, zero or empty."),
    evaluator("or", "or A B", "Whether one is true."),
    pure("pgpassField", "pgpassField TEXT", "Escaped as a field of PostgreSQL's password file.", "a", quoting::pgpass),
    evaluator("pki", "pki PATH [key=\"value\" …]", "A certificate that is issued for this: `certificate`, `private_key`, `issuing_ca` and each of the list `ca_chain` end their line; the rest as Vault sent it. Replaced before it ends."),
    pure("properties", "properties TEXT", "Escaped as a value of a Java properties file.", "a", shell::properties),
    pure("propertiesKey", "propertiesKey TEXT", "Escaped as a key of a Java properties file.", "a", shell::properties_key),
    evaluator("raw", "{{{{raw}}}} … {{{{/raw}}}}", "Text in which braces mean nothing."),
    pure("replace", "replace TEXT FROM TO", "Every occurrence.", "aaa", hbs::helpers::replace),
    evaluator("response", "response PATH [key=\"value\" …]", "As `secret`, with `request_id`, `lease_id`, `lease_duration`, `renewable`, `data`, `warnings`."),
    evaluator("secret", "secret PATH [key=\"value\" …]", "The secret's data, of KV v2 the inner data; with parameters, writes them."),
    evaluator("secrets", "secrets PATH", "The names below a path, sorted."),
    pure("sha256", "sha256 TEXT", "In hexadecimal.", "a", digest::sha256),
    pure("shell", "shell TEXT", "Quoted for shells and dotenv readers.", "a", shell::shell),
    pure("split", "split TEXT SEPARATOR", "Trims the text first; an empty text is an empty list.", "aa", hbs::helpers::split),
    pure("sqlServerValue", "sqlServerValue TEXT", "In braces, as a property of a SQL Server URL.", "a", quoting::braces),
    evaluator("timestamp", "timestamp [LAYOUT]", "The time of the data, in UTC: RFC 3339, `unix`, or a Go layout. The same until the data changes."),
    pure("trim", "trim TEXT", "Without white space at both ends.", "a", text::trim_space),
    evaluator("unless", "#unless VALUE", "The opposite of `#if`."),
    pure("upper", "upper TEXT", "In capitals.", "a", case::to_upper),
    pure("urlPart", "urlPart TEXT", "Percent-encoded as a part of a URL.", "a", quoting::url),
    evaluator("with", "#with VALUE", "The value as `this`, or `as |name|`."),
    pure("yaml", "yaml VALUE", "Block style, keys sorted.", "a", encode::to_plain_yaml),
];
