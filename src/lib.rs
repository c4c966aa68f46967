//! rhumb: an authoritative DNS server for global server load balancing.
//!
//! # The house
//!
//! A module uses only the floors below it; siblings on one floor do not know each other.
//! `tests/tidy.rs` enforces this.
//!
//! | floor | rooms |
//! |---|---|
//! | 5 | [`daemon`]: wires it together |
//! | 4 | [`serve`], [`probe`], [`resolver`], [`notify`], [`admin`], [`store`], [`telemetry`], [`cli`]: the outside world |
//! | 3 | [`control`]: the sole writer |
//! | 2 | [`config`]: text to plan; [`routing`]: plan and verdicts to answers |
//! | 1 | [`plan`]: what the operator asked for |
//! | 0 | [`dns`], [`geo`], [`health`]: the wire, the map, the belief |
//!
//! # The journeys
//!
//! A query travels one way: a UDP worker or a TCP connection hands its bytes to
//! [`routing::answer`], which reads one table and writes the reply into the caller's buffer.
//!
//! A health event travels one way: a probe's outcome enters [`control`], the address's
//! machine observes it, and on a transition the touched pool is compiled anew and one
//! pointer is swapped. The next query reads the new table.
//!
//! An edit travels one way: a request to [`admin`] becomes the next [`config::Desired`], the file
//! with edits over it; [`store`] keeps it, and what it comes to enters [`control`]. Then it is
//! acknowledged.

pub mod admin;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dns;
pub mod geo;
pub mod health;
pub mod notify;
pub mod plan;
pub mod probe;
pub mod resolver;
pub mod routing;
pub mod serve;
pub mod store;
pub mod telemetry;
