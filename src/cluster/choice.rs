//! Sans-IO. Which replica a new read goes to.
//!
//! ```text
//!  the session's last host, while it may be read there
//!     else of the hosts that may be read: those near, else all
//!          a host that came back takes part with a chance that grows over `slow_start`
//!          two by chance (weights count), of these the one with less to wait for
//! ```

use std::time::Instant;

use super::position::{MayRead, Position, Scope};
use super::view::{ClusterView, Distance, HostId, HostView};

/// Another host is so much better that a move is worth the wait for a position: its cost is less
/// than one part in this many.
const MOVE_FACTOR: u64 = 4;

/// Where a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// To this replica.
    Replica(HostId),
    /// To this replica, where the session reads already. Another one has much less to do, but
    /// whether it shows enough is not known: a session that can wait a moment asks for positions
    /// and chooses again.
    Stay {
        /// Where it is.
        host: HostId,
        /// Where it would be better.
        better: HostId,
    },
    /// To none now. Positions that are asked for now may show that one can be read.
    Unknown,
    /// To none now: those that there are have not replayed enough.
    Behind,
    /// To none: no replica answers reads.
    NoReplica,
}

/// Numbers drawn by chance for one choice.
#[derive(Debug, Clone, Copy)]
pub struct Chance(u64);

impl Chance {
    /// From 64 random bits.
    pub fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// "splitmix64": each draw is a new, well mixed number of the first one.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; nearly uniform for small ends.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Chooses a replica for a read of this session.
pub fn choose(
    view: &ClusterView,
    position: &mut Position,
    scope: Scope,
    now: Instant,
    mut chance: Chance,
) -> Choice {
    let last = position.last_host().and_then(|last| view.host(last));
    let last = last.filter(|last| last.is_ready());
    if let Some(last) = last
        && position.may_read(view, last.id, scope) == MayRead::Yes
    {
        return stay_or_move(view, position, scope, last, (now, &mut chance));
    }
    let mut any = Choice::NoReplica;
    let mut field = Field::default();
    let ready = view.hosts.iter().enumerate();
    for (place, host) in ready.filter(|(_, host)| host.is_ready()) {
        match position.may_read(view, host.id, scope) {
            MayRead::Yes => field.add(place),
            MayRead::Unknown => any = Choice::Unknown,
            MayRead::Behind if any == Choice::NoReplica => any = Choice::Behind,
            MayRead::Behind | MayRead::NotServing => {}
        }
    }
    if field.is_empty() {
        return any;
    }
    match lighter_of_two(view, field, now, &mut chance) {
        Some(host) => Choice::Replica(host.id),
        None => any,
    }
}

/// Hosts to choose from, a bit for each by its place; those beyond the 64th never are.
#[derive(Debug, Clone, Copy, Default)]
struct Field(u64);

impl Field {
    fn bit(place: usize) -> u64 {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        1_u64.checked_shl(place).unwrap_or(0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn add(&mut self, place: usize) {
        self.0 |= Self::bit(place);
    }

    fn hosts(self, view: &ClusterView) -> impl Iterator<Item = (usize, &HostView)> {
        let hosts = view.hosts.iter().enumerate();
        hosts.filter(move |(place, _)| self.0 & Self::bit(*place) != 0)
    }

    /// Those that pass, or all where none does.
    fn prefer(self, view: &ClusterView, mut test: impl FnMut(&HostView) -> bool) -> Self {
        let mut chosen = Self::default();
        for (place, _) in self.hosts(view).filter(|(_, host)| test(host)) {
            chosen.add(place);
        }
        if chosen.0 == 0 { self } else { chosen }
    }

    /// Takes one out, each with a chance of its weight.
    fn draw<'a>(&mut self, view: &'a ClusterView, chance: &mut Chance) -> Option<&'a HostView> {
        let weight = |host: &HostView| u64::from(host.weight.max(1));
        let weights = self.hosts(view).map(|(_, host)| weight(host));
        let mut left = chance.below(weights.sum());
        let (place, drawn) = self.hosts(view).find(|(_, host)| {
            let found = left < weight(host);
            left = left.saturating_sub(weight(host));
            found
        })?;
        self.0 &= !Self::bit(place);
        Some(drawn)
    }
}

/// A session stays, because other hosts are behind what it has just seen more often than not; but
/// it must be able to go where the load is much lower, such as to a host that came back.
fn stay_or_move(
    view: &ClusterView,
    position: &mut Position,
    scope: Scope,
    last: &HostView,
    (now, chance): (Instant, &mut Chance),
) -> Choice {
    let stay = Choice::Replica(last.id);
    // The usual case looks at one other host, and allocates nothing.
    let others = view.hosts.iter().filter(|host| host.is_ready());
    let others = others.filter(|host| host.id != last.id && host.distance <= last.distance);
    let others = others.filter(|host| host.weight > 0);
    let count = u64::try_from(others.clone().count()).unwrap_or(u64::MAX);
    if count == 0 {
        return stay;
    }
    let place = usize::try_from(chance.below(count)).unwrap_or(0);
    let Some(other) = others.clone().nth(place) else {
        return stay;
    };
    if !takes_part(view, other, now, chance) {
        return stay;
    }
    let nearer = other.distance < last.distance;
    match position.may_read(view, other.id, scope) {
        MayRead::Yes if nearer || lighter(other, last, 1) => Choice::Replica(other.id),
        MayRead::Unknown if nearer || lighter(other, last, MOVE_FACTOR) => Choice::Stay {
            host: last.id,
            better: other.id,
        },
        MayRead::Yes | MayRead::Unknown | MayRead::Behind | MayRead::NotServing => stay,
    }
}

/// Two by chance, and of these the lighter one.
fn lighter_of_two<'a>(
    view: &'a ClusterView,
    field: Field,
    now: Instant,
    chance: &mut Chance,
) -> Option<&'a HostView> {
    // A weight of 0 is for when nobody else is left.
    let field = field.prefer(view, |host| host.weight > 0);
    let near = field.prefer(view, |host| host.distance == Distance::Near);
    // Where every host has just come back, they share as usual.
    let mut field = near.prefer(view, |host| takes_part(view, host, now, chance));
    let first = field.draw(view, chance)?;
    let second = field.draw(view, chance);
    Some(
        second
            .filter(|second| lighter(second, first, 1))
            .unwrap_or(first),
    )
}

/// Whether a request would take less than one part in `factor` of the time that it takes at the
/// other host: latency and queue, by weight. Where nothing was measured it takes no time.
fn lighter(host: &HostView, other: &HostView, factor: u64) -> bool {
    let weight = |host: &HostView| u64::from(host.weight.max(1));
    let cost = |host: &HostView| {
        let latency = u64::from(host.gauge.latency_us().max(1));
        let queue = u64::from(host.gauge.in_flight()) + 1;
        latency.saturating_mul(queue)
    };
    let own = cost(host).saturating_mul(weight(other));
    own.saturating_mul(factor) < cost(other).saturating_mul(weight(host))
}

/// Whether a host is among those to choose from this time (slow start).
fn takes_part(view: &ClusterView, host: &HostView, now: Instant, chance: &mut Chance) -> bool {
    let Some(since) = host.back_since else {
        return true;
    };
    let age = now.saturating_duration_since(since).as_micros();
    let whole = view.slow_start.as_micros();
    if age >= whole {
        return true;
    }
    let drawn = chance.below(u64::try_from(whole).unwrap_or(u64::MAX));
    u128::from(drawn) < age
}

#[cfg(test)]
mod tests;
