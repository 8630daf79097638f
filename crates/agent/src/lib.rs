//! config → login → fetch → render → write → notify
//!
//! One task, the [`supervisor`], owns all state; every request is a task that owns none. What to do next is
//! `sidekey_core::planner`'s to say, and what it says leaves through `launch` and comes back through `absorb`:
//!
//! ```text
//! planner.next ─▶ launch ─▶ request ─▶ Vault ─▶ absorb ─▶ state (kept) ─▶ group: member.render ─▶ write ─▶ notify ─▶ report
//! ```
//!
//! | noun | file |
//! |---|---|
//! | the command line | `command`, `args`, `exit`, `harden` |
//! | files of Vault Agent, read again at SIGHUP | `vaultfile`, `hcl`, `reload` |
//! | the loop, its end | `supervisor`, `alarm`, `end` |
//! | requests and what comes of them | `credential`, `launch`, `request`, `absorb`, `suspects` |
//! | leases with a successor | `superseded` |
//! | what is wrong | `trouble` |
//! | what is done after a change | `notify`, `action`, `process` |
//! | what changes together, and one file of it | `group`, `member`, `pair`, `templates`, `extra`, `accounts` |
//! | what is too old | `age`, `withdraw` |
//! | environment variables, and the program that has them | `environment`, `exec`, `child`, `course` |
//! | bytes on disk | `write`, `sweep`, `dir`, `private`, `sink`, `seal` |
//! | one login and what hangs on it | `session` |
//! | what survives a restart | `state` |
//! | what others see | `report`, `status`, `ready`, `serve`, `listen`, `metrics`, `termination` |
//! | one try of everything | `check` |

mod absorb;
mod accounts;
mod action;
mod age;
mod alarm;
pub mod args;
mod backoff;
mod check;
mod child;
pub mod clock;
pub mod command;
mod course;
mod credential;
mod dir;
mod end;
mod environment;
mod exec;
pub mod exit;
mod extra;
mod group;
pub mod harden;
mod hcl;
mod launch;
mod listen;
mod local;
mod member;
pub mod metrics;
mod notify;
mod pair;
mod private;
mod process;
pub mod ready;
mod reload;
mod report;
mod request;
mod seal;
pub mod serve;
mod session;
mod sink;
mod state;
pub mod status;
mod superseded;
pub mod supervisor;
mod suspects;
mod sweep;
mod templates;
pub mod termination;
mod trouble;
mod vaultfile;
mod withdraw;
mod write;
