//! annotations → contract → lookup → response → planner → output
//!
//! The nouns that every other crate shares, and the decisions that need no I/O. Nothing here knows the clock, the
//! environment, a file or a socket: what is needed from outside is an argument (`clippy.toml` of this crate bans the rest).
//!
//! | noun | file |
//! |---|---|
//! | what must never be printed | `sensitive` |
//! | what Vault answers | `value`, `response` |
//! | what is asked of Vault | `lookup` |
//! | what the webhook tells the agent | `contract` |
//! | when to renew, replace, log in | `lease`, `failure`, `backoff`, `dice`, `time` → `planner` |
//! | what to write where | `output`, `path` |
//! | why something failed | `code`, `cause` |
//! | Go's spellings of booleans and durations | `goparse` |

mod backoff;
pub mod cause;
pub mod code;
pub mod contract;
mod dice;
pub mod failure;
pub mod goparse;
pub mod lease;
pub mod lookup;
pub mod output;
pub mod path;
pub mod planner;
pub mod response;
pub mod sensitive;
pub mod time;
pub mod value;

pub use cause::Cause;
pub use code::Code;
pub use contract::AgentConfig;
pub use lookup::Lookup;
pub use response::Response;
pub use sensitive::Sensitive;
pub use value::Value;
