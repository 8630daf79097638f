//! The one table of functions: what is served, in which language, and why the rest is not.
//! `docs/reference/templates.md` is written from it.

use crate::go;
use crate::hbs;
use crate::helpers::{Out, collect, compare, encode, math, shell, text};
use crate::value::Val;

/// One function of one language.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// How it is written.
    pub(crate) usage: &'static str,
    /// What it answers, or why it is refused.
    pub(crate) about: &'static str,
    pub(crate) serve: Serve,
}

/// Who does the work.
#[derive(Clone, Copy)]
pub(crate) enum Serve {
    /// A function of its arguments; from `min` to `max` of them.
    Pure { min: usize, max: usize, call: fn(&[Val]) -> Out },
    /// Go: one that also reads the inputs.
    Run { min: usize, max: usize, call: fn(&mut go::Run<'_>, &[Val]) -> Out },
    /// The evaluator itself: it decides which arguments are computed, or has methods.
    Evaluator,
    /// Known, and refused for the reason in `about`.
    Refused,
}

const MANY: usize = usize::MAX;

const fn pure(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    min: usize,
    max: usize,
    call: fn(&[Val]) -> Out,
) -> Function {
    Function { name, usage, about, serve: Serve::Pure { min, max, call } }
}

const fn run(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    min: usize,
    max: usize,
    call: fn(&mut go::Run<'_>, &[Val]) -> Out,
) -> Function {
    Function { name, usage, about, serve: Serve::Run { min, max, call } }
}

const fn evaluator(name: &'static str, usage: &'static str, about: &'static str) -> Function {
    Function { name, usage, about, serve: Serve::Evaluator }
}

const fn refused(name: &'static str, about: &'static str) -> Function {
    Function { name, usage: "", about, serve: Serve::Refused }
}

/// The function of Go templates with this name, served or refused.
pub(crate) fn go(name: &str) -> Option<&'static Function> {
    find(GO, name)
}

/// The helper of handlebars with this name.
pub(crate) fn handlebars(name: &str) -> Option<&'static Function> {
    find(HANDLEBARS, name)
}

fn find(table: &'static [Function], name: &str) -> Option<&'static Function> {
    table.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| &table[index])
}

const CONSUL: &str = "Consul is not read: Sidekey serves Vault and OpenBao only.";
const NOMAD: &str = "Nomad is not read: Sidekey serves Vault and OpenBao only.";
const SHAPES: &str = "It shapes Consul's answers, which are not read.";
const DEBUG: &str = "A debugging aid that prints secrets to the log.";

/// Go templates, sorted by name; one row, one line.
#[rustfmt::skip]
pub(crate) static GO: &[Function] = &[
    pure("add", "add B A", "A + B.", 2, 2, math::add),
    evaluator("and", "and A B …", "The first that is false, else the last; those after it are not computed."),
    pure("base64Decode", "base64Decode TEXT", "The bytes, which need not be text.", 1, 1, encode::base64_decode),
    pure("base64Encode", "base64Encode TEXT", "Standard alphabet with padding.", 1, 1, encode::base64_encode),
    pure("base64URLDecode", "base64URLDecode TEXT", "URL alphabet with padding.", 1, 1, encode::base64_url_decode),
    pure("base64URLEncode", "base64URLEncode TEXT", "URL alphabet with padding.", 1, 1, encode::base64_url_encode),
    refused("byKey", SHAPES),
    refused("byMeta", SHAPES),
    refused("byPort", SHAPES),
    refused("byTag", SHAPES),
    refused("caLeaf", CONSUL),
    refused("caRoots", CONSUL),
    refused("call", "No value of a template is a function."),
    refused("connect", CONSUL),
    pure("contains", "contains VALUE COLLECTION", "As `in`, for pipes.", 2, 2, collect::contains),
    pure("containsAll", "containsAll LIST COLLECTION", "Whether all of the list are in it.", 2, 2, collect::contains_all),
    pure("containsAny", "containsAny LIST COLLECTION", "Whether one of the list is in it.", 2, 2, collect::contains_any),
    pure("containsNone", "containsNone LIST COLLECTION", "Whether none of the list is in it.", 2, 2, collect::contains_none),
    pure("containsNotAll", "containsNotAll LIST COLLECTION", "Whether one of the list is not in it.", 2, 2, collect::contains_not_all),
    refused("datacenters", CONSUL),
    pure("divide", "divide B A", "A / B; a division of integers by zero is an error.", 2, 2, math::divide),
    run("env", "env NAME", "A variable of the agent's container, empty when unset.", 1, 1, go::data::env),
    run("envOrDefault", "envOrDefault NAME DEFAULT", "The default only when the variable is unset.", 2, 2, go::data::env_or_default),
    pure("eq", "eq A B …", "Whether A equals one of the others; numbers of secrets are strings.", 2, MANY, compare::eq),
    run("executeTemplate", "executeTemplate NAME [DOT]", "A defined template as a string.", 1, 2, go::data::execute_template),
    refused("explode", SHAPES),
    pure("explodeMap", "explodeMap MAP", "Keys cut at `/` into nested maps.", 1, 1, collect::explode_map),
    refused("exportedServices", CONSUL),
    refused("file", "Files of the agent's container are not read by templates."),
    pure("ge", "ge A B", "A >= B.", 2, 2, compare::ge),
    pure("gt", "gt A B", "A > B.", 2, 2, compare::gt),
    pure("hmacSHA256Hex", "hmacSHA256Hex MESSAGE KEY", "In hexadecimal.", 2, 2, encode::hmac_sha256_hex),
    pure("html", "html VALUE …", "HTML escapes.", 1, MANY, go::builtin::html),
    refused("importedServices", CONSUL),
    pure("in", "in COLLECTION VALUE", "An element of a list, a value of a map, or a part of a string.", 2, 2, collect::is_in),
    pure("indent", "indent SPACES TEXT", "Spaces before each line that is not empty.", 2, 2, text::indent),
    pure("index", "index COLLECTION KEY …", "The element; a map's missing key is nothing.", 1, MANY, compare::index),
    pure("join", "join SEPARATOR LIST", "The strings of a list, joined.", 2, 2, text::join),
    pure("js", "js VALUE …", "JavaScript escapes.", 1, MANY, go::builtin::js),
    refused("key", CONSUL),
    refused("keyExists", CONSUL),
    refused("keyOrDefault", CONSUL),
    pure("le", "le A B", "A <= B.", 2, 2, compare::le),
    pure("len", "len VALUE", "Bytes of a string, elements of a list or map.", 1, 1, compare::len),
    pure("loop", "loop [FROM] TO", "The integers from FROM (or 0) up to TO, without it; at most 100 000.", 1, 2, collect::counting),
    refused("ls", CONSUL),
    pure("lt", "lt A B", "A < B.", 2, 2, compare::lt),
    pure("maximum", "maximum B A", "The larger.", 2, 2, math::maximum),
    refused("md5sum", "MD5 protects nothing; use `sha256Hex`."),
    pure("mergeMap", "mergeMap INTO FROM", "Keys of INTO stay.", 2, 2, collect::merge_map),
    pure("mergeMapWithOverride", "mergeMapWithOverride INTO FROM", "Keys of FROM win.", 2, 2, collect::merge_map_with_override),
    pure("minimum", "minimum B A", "The smaller.", 2, 2, math::minimum),
    pure("modulo", "modulo B A", "The remainder of A / B.", 2, 2, math::modulo),
    pure("multiply", "multiply B A", "A * B.", 2, 2, math::multiply),
    run("mustEnv", "mustEnv NAME", "A variable of the agent's container; an error when unset.", 1, 1, go::data::must_env),
    pure("ne", "ne A B", "Whether they differ.", 2, 2, compare::ne),
    refused("node", CONSUL),
    refused("nodes", CONSUL),
    refused("nomadService", NOMAD),
    refused("nomadServices", NOMAD),
    refused("nomadVar", NOMAD),
    refused("nomadVarExists", NOMAD),
    refused("nomadVarList", NOMAD),
    refused("nomadVarListSafe", NOMAD),
    pure("not", "not VALUE", "Whether it is false, zero, empty or nothing.", 1, 1, compare::not),
    evaluator("or", "or A B …", "The first that is true, else the last; those after it are not computed."),
    pure("parseBool", "parseBool TEXT", "Go's spellings; an empty text is false.", 1, 1, math::parse_bool),
    pure("parseFloat", "parseFloat TEXT", "An empty text is 0.", 1, 1, math::parse_float),
    pure("parseInt", "parseInt TEXT", "Decimal; an empty text is 0.", 1, 1, math::parse_int),
    pure("parseJSON", "parseJSON TEXT", "Numbers become floats; an empty text is an empty map.", 1, 1, encode::parse_json),
    pure("parseUint", "parseUint TEXT", "Decimal; an empty text is 0.", 1, 1, math::parse_uint),
    refused("parseYAML", "There is no YAML reader in the agent; store JSON and use `parseJSON`."),
    refused("partitions", CONSUL),
    refused("peerings", CONSUL),
    run("pkiCert", "pkiCert PATH [\"KEY=VALUE\" …]", "Issues a certificate: .Cert .Key .CA .CAChain, kept until it is replaced.", 0, MANY, go::data::pki_cert),
    refused("plugin", "Templates run no programs."),
    pure("print", "print VALUE …", "As Go's `fmt.Sprint`.", 0, MANY, go::builtin::print),
    pure("printf", "printf FORMAT VALUE …", "As Go's `fmt.Sprintf`.", 1, MANY, go::builtin::printf),
    pure("println", "println VALUE …", "As Go's `fmt.Sprintln`.", 0, MANY, go::builtin::println),
    pure("regexMatch", "regexMatch PATTERN TEXT", "Whether the pattern is found.", 2, 2, text::regex_match),
    pure("regexReplaceAll", "regexReplaceAll PATTERN REPLACEMENT TEXT", "`$1` and `${name}` are groups.", 3, 3, text::regex_replace_all),
    pure("replaceAll", "replaceAll FROM TO TEXT", "Every occurrence.", 3, 3, text::replace_all),
    refused("safeLs", CONSUL),
    refused("safeTree", CONSUL),
    evaluator("scratch", "scratch.METHOD …", "`Key`, `Get`, `Set`, `SetX`, `MapSet`, `MapSetX`, `MapValues`; setters print nothing."),
    run("secret", "secret PATH [\"KEY=VALUE\" …]", "Reads; with parameters, writes them.", 1, MANY, go::data::secret),
    run("secrets", "secrets PATH", "The names below a path, sorted.", 1, 1, go::data::secrets),
    refused("service", CONSUL),
    refused("services", CONSUL),
    pure("sha256Hex", "sha256Hex TEXT", "In hexadecimal.", 1, 1, encode::sha256_hex),
    pure("slice", "slice VALUE [FROM [TO]]", "A part of a string's bytes or of a list.", 1, 3, compare::slice),
    refused("sockaddr", "Templates do not see the network."),
    refused("spew_dump", DEBUG),
    refused("spew_printf", DEBUG),
    refused("spew_sdump", DEBUG),
    refused("spew_sprintf", DEBUG),
    pure("split", "split SEPARATOR TEXT", "Trims the text first; an empty text is an empty list.", 2, 2, text::split),
    pure("splitToMap", "splitToMap PAIRS KEYS TEXT", "Cuts at PAIRS, then at the first KEYS.", 3, 3, text::split_to_map),
    pure("sprig_append", "sprig_append LIST VALUE", "", 2, 2, collect::append),
    pure("sprig_b64dec", "sprig_b64dec TEXT", "As `base64Decode`.", 1, 1, encode::base64_decode),
    pure("sprig_b64enc", "sprig_b64enc TEXT", "As `base64Encode`.", 1, 1, encode::base64_encode),
    pure("sprig_coalesce", "sprig_coalesce VALUE …", "The first that is not empty.", 1, MANY, collect::coalesce),
    pure("sprig_default", "sprig_default FALLBACK VALUE", "The fallback for an empty value.", 1, 2, collect::default),
    pure("sprig_dict", "sprig_dict KEY VALUE …", "A map.", 0, MANY, collect::dict),
    pure("sprig_empty", "sprig_empty VALUE", "", 1, 1, collect::empty),
    pure("sprig_first", "sprig_first LIST", "", 1, 1, collect::first),
    pure("sprig_get", "sprig_get MAP KEY", "An empty string when it is not there.", 2, 2, collect::get),
    pure("sprig_hasKey", "sprig_hasKey MAP KEY", "", 2, 2, collect::has_key),
    pure("sprig_hasPrefix", "sprig_hasPrefix PREFIX TEXT", "", 2, 2, text::has_prefix),
    pure("sprig_hasSuffix", "sprig_hasSuffix SUFFIX TEXT", "", 2, 2, text::has_suffix),
    pure("sprig_join", "sprig_join SEPARATOR LIST", "As `join`.", 2, 2, text::join),
    pure("sprig_keys", "sprig_keys MAP", "Sorted.", 1, 1, collect::keys),
    pure("sprig_last", "sprig_last LIST", "", 1, 1, collect::last),
    pure("sprig_list", "sprig_list VALUE …", "A list.", 0, MANY, collect::make_list),
    pure("sprig_lower", "sprig_lower TEXT", "", 1, 1, text::to_lower),
    pure("sprig_repeat", "sprig_repeat COUNT TEXT", "", 2, 2, text::repeat),
    pure("sprig_replace", "sprig_replace FROM TO TEXT", "As `replaceAll`.", 3, 3, text::replace_all),
    pure("sprig_sha256sum", "sprig_sha256sum TEXT", "As `sha256Hex`.", 1, 1, encode::sha256_hex),
    pure("sprig_ternary", "sprig_ternary YES NO CONDITION", "", 3, 3, collect::ternary),
    pure("sprig_toJson", "sprig_toJson VALUE", "As `toJSON`.", 1, 1, encode::to_json),
    pure("sprig_toPrettyJson", "sprig_toPrettyJson VALUE", "As `toJSONPretty`.", 1, 1, encode::to_json_pretty),
    pure("sprig_toRawJson", "sprig_toRawJson VALUE", "As `toUnescapedJSON`.", 1, 1, encode::to_unescaped_json),
    pure("sprig_trim", "sprig_trim TEXT", "As `trimSpace`.", 1, 1, text::trim_space),
    pure("sprig_trimAll", "sprig_trimAll CUTSET TEXT", "As `trim`.", 2, 2, text::trim),
    pure("sprig_trimPrefix", "sprig_trimPrefix PREFIX TEXT", "", 2, 2, text::trim_prefix),
    pure("sprig_trimSuffix", "sprig_trimSuffix SUFFIX TEXT", "", 2, 2, text::trim_suffix),
    pure("sprig_trunc", "sprig_trunc LENGTH TEXT", "The last characters when LENGTH is negative.", 2, 2, text::trunc),
    pure("sprig_upper", "sprig_upper TEXT", "", 1, 1, text::to_upper),
    pure("subtract", "subtract B A", "A - B.", 2, 2, math::subtract),
    run("timestamp", "timestamp [LAYOUT]", "The time of the data, in UTC: RFC 3339, `unix`, or a Go layout. The same until the data changes.", 0, 1, go::data::timestamp),
    pure("toJSON", "toJSON VALUE", "Compact, keys sorted, `<`, `>`, `&` escaped as Go does.", 1, 1, encode::to_json),
    pure("toJSONPretty", "toJSONPretty VALUE", "With two spaces of indentation.", 1, 1, encode::to_json_pretty),
    pure("toLower", "toLower TEXT", "", 1, 1, text::to_lower),
    refused("toTOML", "Not served yet; write the lines, or use `toJSON`."),
    pure("toTitle", "toTitle TEXT", "The first letter of each word in upper case.", 1, 1, text::to_title),
    pure("toUnescapedJSON", "toUnescapedJSON VALUE", "Without HTML escapes.", 1, 1, encode::to_unescaped_json),
    pure("toUnescapedJSONPretty", "toUnescapedJSONPretty VALUE", "Without HTML escapes, indented.", 1, 1, encode::to_unescaped_json_pretty),
    pure("toUpper", "toUpper TEXT", "", 1, 1, text::to_upper),
    pure("toYAML", "toYAML VALUE", "Block style, keys sorted; long lines are not folded.", 1, 1, encode::to_yaml),
    refused("tree", CONSUL),
    pure("trim", "trim CUTSET TEXT", "Characters of the set at both ends.", 2, 2, text::trim),
    pure("trimPrefix", "trimPrefix PREFIX TEXT", "", 2, 2, text::trim_prefix),
    pure("trimSpace", "trimSpace TEXT", "", 1, 1, text::trim_space),
    pure("trimSuffix", "trimSuffix SUFFIX TEXT", "", 2, 2, text::trim_suffix),
    pure("urlquery", "urlquery VALUE …", "URL query escapes.", 1, MANY, go::builtin::urlquery),
    refused("writeToFile", "Not served yet; write each file with an annotation of its own."),
];

/// handlebars, sorted by name; one row, one line.
#[rustfmt::skip]
pub(crate) static HANDLEBARS: &[Function] = &[
    evaluator("and", "and A B", "Whether both are true."),
    pure("base64", "base64 TEXT", "Standard alphabet with padding.", 1, 1, encode::base64_encode),
    pure("base64Decode", "base64Decode TEXT", "The text; bytes that are not UTF-8 are an error (Go templates write them).", 1, 1, encode::base64_decode),
    pure("default", "default VALUE FALLBACK", "The fallback for an empty value.", 2, 2, hbs::helpers::default),
    evaluator("each", "#each COLLECTION", "With `@key`, `@index`, `@first`, `@last`, or `as |value key|`."),
    evaluator("env", "env NAME", "A variable of the agent's container; an error when unset."),
    pure("envName", "envName TEXT", "The text itself, if it is a name that shells can hold in a variable.", 1, 1, shell::env_name),
    evaluator("eq", "eq A B", "Whether they are equal."),
    evaluator("gt", "gt A B", "A > B."),
    evaluator("gte", "gte A B", "A >= B."),
    evaluator("if", "#if VALUE", "Else-branch for what is missing, null, false, zero or empty."),
    pure("indent", "indent TEXT SPACES", "Spaces before each line that is not empty.", 2, 2, hbs::helpers::indent),
    pure("join", "join LIST SEPARATOR", "The strings of a list, joined.", 2, 2, hbs::helpers::join),
    pure("json", "json VALUE", "Compact, keys sorted, no HTML escapes.", 1, 1, encode::to_unescaped_json),
    pure("jsonPretty", "jsonPretty VALUE", "With two spaces of indentation.", 1, 1, encode::to_unescaped_json_pretty),
    evaluator("len", "len VALUE", "Elements of a list or map."),
    refused("log", DEBUG),
    evaluator("lookup", "lookup COLLECTION KEY", "The element; an error when it is not there."),
    pure("lower", "lower TEXT", "", 1, 1, text::to_lower),
    evaluator("lt", "lt A B", "A < B."),
    evaluator("lte", "lte A B", "A <= B."),
    evaluator("ne", "ne A B", "Whether they differ."),
    evaluator("not", "not VALUE", "Whether it is false, zero or empty."),
    evaluator("or", "or A B", "Whether one is true."),
    pure("properties", "properties TEXT", "Escaped as a value of a Java properties file.", 1, 1, shell::properties),
    pure("propertiesKey", "propertiesKey TEXT", "Escaped as a key of a Java properties file.", 1, 1, shell::properties_key),
    evaluator("raw", "{{{{raw}}}} … {{{{/raw}}}}", "Text in which braces mean nothing."),
    pure("replace", "replace TEXT FROM TO", "Every occurrence.", 3, 3, hbs::helpers::replace),
    evaluator("response", "response PATH [key=\"value\" …]", "As `secret`, with `request_id`, `lease_id`, `lease_duration`, `renewable`, `data`, `warnings`."),
    evaluator("secret", "secret PATH [key=\"value\" …]", "The secret's data, of KV v2 the inner data; with parameters, writes them."),
    evaluator("secrets", "secrets PATH", "The names below a path, sorted."),
    pure("sha256", "sha256 TEXT", "In hexadecimal.", 1, 1, encode::sha256_hex),
    pure("shell", "shell TEXT", "Quoted for shells and dotenv readers.", 1, 1, shell::shell),
    pure("split", "split TEXT SEPARATOR", "Trims the text first; an empty text is an empty list.", 2, 2, hbs::helpers::split),
    evaluator("timestamp", "timestamp [LAYOUT]", "The time of the data, in UTC: RFC 3339, `unix`, or a Go layout. The same until the data changes."),
    pure("trim", "trim TEXT", "Without white space at both ends.", 1, 1, text::trim_space),
    evaluator("unless", "#unless VALUE", "The opposite of `#if`."),
    pure("upper", "upper TEXT", "", 1, 1, text::to_upper),
    evaluator("with", "#with VALUE", "The value as `this`, or `as |name|`."),
    pure("yaml", "yaml VALUE", "Block style, keys sorted.", 1, 1, encode::to_yaml),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_tables_sorted() {
        for table in [GO, HANDLEBARS] {
            let unsorted: Vec<_> =
                table.windows(2).filter(|pair| pair[0].name >= pair[1].name).map(|pair| pair[1].name).collect();
            assert_eq!(unsorted, Vec::<&str>::new());
        }
    }

    #[test]
    fn gives_every_refusal_its_reason() {
        for function in GO.iter().chain(HANDLEBARS) {
            let refused = matches!(function.serve, Serve::Refused);
            assert_eq!(function.usage.is_empty(), refused, "{}", function.name);
            assert!(!refused || !function.about.is_empty(), "{}", function.name);
        }
    }
}
