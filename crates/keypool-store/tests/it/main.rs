//! The store at its edge: a contract that every driver has to keep, and the ways in which a SQLite file is opened,
//! refused and taken over.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod draws;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod go_program;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod support;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod takeover_file;
#[cfg(test)]
mod takeover_odd;
#[cfg(test)]
mod usage;
