//! What text messages may cost: the decision on each wish for one, without I/O. Whoever calls tells
//! the time, the counts so far and the policy; the store calls it inside the transaction that sends.
//!
//! A wish is **trusted** when the terminal has answered a code of the same number before, or when it
//! is made within a login for the account's own number. What has never been answered competes for
//! places in small buckets: of its prefix, dial code, network and terminal. A place comes back when
//! the code is answered; a bucket that runs low without answers refills more slowly each time. So
//! sweeping a prefix costs its bucket and a few places more, be the sweep fast or slow, and those
//! who are trusted do not notice it.
//!
//! A number gets so many messages in all, and only a part of them for those who are not trusted and do
//! not answer: whoever asks for somebody else's codes leaves the owner the rest.
//!
//! A bucket that runs low asks for proof of work first ([`work`]); an empty one holds the message.

pub mod bucket;
pub mod dial;
pub mod work;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::bucket::{Bucket, PLACE, Shape};
use crate::limits::SENDS_FOR_STRANGERS;
use crate::storage::model::Window;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Part of the money that is kept for trusted wishes, per cent.
const RESERVE_PERCENT: u64 = 20;
/// A breaker that opened closes again when this much of the money is back, per cent.
const BREAKER_CLOSES_PERCENT: u64 = 25;
/// Longest time that a message waits for the pause between two messages to one number, seconds.
const LONGEST_WAIT_SECS: u64 = MINUTE;
/// Most sends to one number that a decision looks at.
pub const MOST_RECENT: u64 = 128;

/// What a bucket counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dimension {
    /// Numbers that differ in their last four digits only.
    Prefix,
    /// Numbers of a country calling code.
    Dial,
    /// Addresses of an IPv4 /24 or an IPv6 /48.
    Network,
    /// One terminal key.
    Terminal,
    /// One account.
    Account,
    /// All money.
    Money,
    /// Wishes that an IPv4 /24 or an IPv6 /48 made, sent or not.
    Asks,
}

impl Dimension {
    /// Stored form, and label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Dial => "dial",
            Self::Network => "network",
            Self::Terminal => "terminal",
            Self::Account => "account",
            Self::Money => "money",
            Self::Asks => "asks",
        }
    }
}

/// The dimensions in which wishes that nobody vouches for compete.
pub const COMPETING: [Dimension; 4] =
    [Dimension::Prefix, Dimension::Dial, Dimension::Network, Dimension::Terminal];

/// What an installation allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether messages are held at all; `false` sends everything and still records decisions.
    pub enforce: bool,
    /// Ask every wish that nobody vouches for for work, not only while a bucket is low.
    pub always_work: bool,
    /// Country calling codes that are served; empty: all.
    pub dial_codes: Vec<u16>,
    /// Price of a message by country calling code, thousandths of a minor unit of money.
    pub prices: BTreeMap<u16, u64>,
    /// Price where the table has none, thousandths of a minor unit.
    pub other_price: u64,
    /// Money that may be spent in any hour, thousandths of a minor unit; `None`: no bound.
    pub money_per_hour: Option<u64>,
    /// Pause between two wishes of one terminal for one number, seconds.
    pub pause: u64,
    /// Messages to one number; the first window is the pause between two of them.
    pub number: Vec<Window>,
    /// Those of them that nobody vouches for and nobody answered.
    pub strangers: Vec<Window>,
    /// Bucket of a prefix.
    pub prefix: Shape,
    /// Bucket of a dial code.
    pub dial: Shape,
    /// Bucket of a network.
    pub network: Shape,
    /// Bucket of a terminal.
    pub terminal: Shape,
    /// Bucket of an account.
    pub account: Shape,
    /// Wishes of a network, sent or not.
    pub asks: Shape,
}

impl Default for Policy {
    fn default() -> Self {
        let shape = |most, gap, gap_most, earned, work_below| Shape {
            most,
            gap,
            gap_most,
            earned,
            work_below,
        };
        Self {
            enforce: true,
            always_work: false,
            dial_codes: vec![86],
            prices: BTreeMap::from([(86, 4_500)]),
            other_price: 10 * PLACE,
            money_per_hour: Some(5000 * PLACE),
            pause: MINUTE,
            number: vec![
                Window { seconds: MINUTE, most: 1 },
                Window { seconds: HOUR, most: 5 },
                Window { seconds: DAY, most: 10 },
            ],
            strangers: SENDS_FOR_STRANGERS.to_vec(),
            prefix: shape(6, 5 * MINUTE, 2 * DAY, PLACE, 4),
            dial: shape(100, 30, 4 * MINUTE, PLACE + 300, 40),
            network: shape(40, 2 * MINUTE, 16 * MINUTE, PLACE + 300, 20),
            terminal: shape(4, 15 * MINUTE, 8 * HOUR, PLACE, 2),
            account: shape(20, 3 * MINUTE, 3 * MINUTE, PLACE, 0),
            asks: shape(20_000, 1, 1, 0, 0),
        }
    }
}

impl Policy {
    /// For messages that cost nothing because they are only shown to the operator.
    pub fn for_development() -> Self {
        let wide = Shape { most: 10_000, gap: 1, gap_most: 1, earned: PLACE, work_below: 0 };
        Self {
            dial_codes: Vec::new(),
            prices: BTreeMap::new(),
            other_price: 0,
            money_per_hour: None,
            pause: 2,
            number: vec![Window { seconds: HOUR, most: MOST_RECENT - 8 }],
            strangers: vec![Window { seconds: HOUR, most: MOST_RECENT - 8 }],
            prefix: wide,
            dial: wide,
            network: wide,
            terminal: wide,
            account: wide,
            asks: Shape { most: 100_000, ..wide },
            ..Self::default()
        }
    }

    /// Whether numbers of this country calling code are served.
    pub fn serves(&self, dial: u16) -> bool {
        self.dial_codes.is_empty() || self.dial_codes.contains(&dial)
    }

    /// Price of a message, thousandths of a minor unit.
    pub fn price(&self, dial: u16) -> u64 {
        self.prices.get(&dial).copied().unwrap_or(self.other_price)
    }

    /// Shape of a bucket of places; money has none.
    pub fn shape(&self, dimension: Dimension) -> Option<Shape> {
        match dimension {
            Dimension::Prefix => Some(self.prefix),
            Dimension::Dial => Some(self.dial),
            Dimension::Network => Some(self.network),
            Dimension::Terminal => Some(self.terminal),
            Dimension::Account => Some(self.account),
            Dimension::Asks => Some(self.asks),
            Dimension::Money => None,
        }
    }
}

/// One wish for a message.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Within a login, for the account's own number.
    pub of_account: bool,
    /// The terminal has answered a code of this number before.
    pub known_pair: bool,
    /// Work was done for it.
    pub worked: bool,
    /// Country calling code.
    pub dial: u16,
}

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// When messages to the number went or will go, newest first; at most [`MOST_RECENT`].
    pub recent: Vec<u64>,
    /// Those of them that were not trusted and are not answered.
    pub strangers: Vec<u64>,
    /// Buckets that exist; one that does not is full.
    pub buckets: BTreeMap<Dimension, Bucket>,
}

/// Why a message is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Held {
    /// The number has had its share.
    Number,
    /// A bucket of places is empty.
    Empty(Dimension),
    /// The money of the hour is spent.
    Money,
}

impl Held {
    /// Stored form, and label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Empty(dimension) => dimension.as_str(),
            Self::Money => "money",
        }
    }
}

/// What happens to a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Sent at this time, Unix seconds.
    Send(u64),
    /// Not sent, and nobody outside is told.
    Hold(Held),
    /// Work of this many bits first.
    Work(u8),
    /// The network asks too much; again after so many seconds.
    TooMany(u64),
}

/// A verdict, and the buckets that it changes.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why the message would have been held if the policy were enforced.
    pub instead_of: Option<Held>,
    /// New contents of buckets.
    pub buckets: Vec<(Dimension, Bucket)>,
}

/// Decides on one wish.
pub fn decide(policy: &Policy, counts: &Counts, ask: &Ask, now: u64) -> Decision {
    let table = Table { policy, counts, now };
    let mut asks = table.bucket(Dimension::Asks, policy.asks);
    if !asks.has_place() {
        let wait = asks.until_place(policy.asks);
        return Decision { verdict: Verdict::TooMany(wait), instead_of: None, buckets: Vec::new() };
    }
    let trusted = ask.of_account || ask.known_pair;
    if !trusted
        && !ask.worked
        && policy.enforce
        && let Some(bits) = table.work_wanted()
    {
        return Decision { verdict: Verdict::Work(bits), instead_of: None, buckets: Vec::new() };
    }
    asks.take(policy.asks);
    let mut buckets = vec![(Dimension::Asks, asks)];
    let (verdict, instead_of) = match table.room(ask, trusted, &mut buckets) {
        Ok(at) => (Verdict::Send(at), None),
        Err(held) if policy.enforce => (Verdict::Hold(held), None),
        Err(held) => (Verdict::Send(now), Some(held)),
    };
    if matches!(verdict, Verdict::Hold(_)) {
        // A breaker that opens is kept; nothing else is charged for what is not sent.
        buckets.retain(|(dimension, _)| matches!(dimension, Dimension::Asks | Dimension::Money));
    }
    Decision { verdict, instead_of, buckets }
}

/// The bucket after a code that was sent through it has been answered.
pub fn answered(policy: &Policy, dimension: Dimension, bucket: Bucket, now: u64) -> Bucket {
    policy.shape(dimension).map_or(bucket, |shape| bucket.refreshed(shape, now).earned(shape))
}

struct Table<'a> {
    policy: &'a Policy,
    counts: &'a Counts,
    now: u64,
}

impl Table<'_> {
    fn bucket(&self, dimension: Dimension, shape: Shape) -> Bucket {
        let stored = self.counts.buckets.get(&dimension).copied();
        stored.unwrap_or_else(|| Bucket::full(shape, self.now)).refreshed(shape, self.now)
    }

    fn competing(&self) -> impl Iterator<Item = (Dimension, Shape, Bucket)> {
        COMPETING.into_iter().filter_map(|dimension| {
            let shape = self.policy.shape(dimension)?;
            Some((dimension, shape, self.bucket(dimension, shape)))
        })
    }

    /// Bits of the work that the emptiest bucket asks for, if one is low.
    fn work_wanted(&self) -> Option<u8> {
        let low = self.competing().filter_map(|(_, shape, bucket)| bucket.lowness(shape)).max();
        let always = self.policy.always_work.then_some(0);
        low.or(always).map(work::bits_for)
    }

    /// When the message may go; the buckets that it takes from are appended either way.
    fn room(
        &self,
        ask: &Ask,
        trusted: bool,
        buckets: &mut Vec<(Dimension, Bucket)>,
    ) -> Result<u64, Held> {
        if trusted {
            if ask.of_account {
                self.take(Dimension::Account, self.policy.account, buckets)?;
            }
        } else {
            for (dimension, shape, _) in self.competing() {
                self.take(dimension, shape, buckets)?;
            }
        }
        // Money last: what is held for its number must not use it up.
        let at = self.number_has_room(trusted)?;
        self.spend(self.policy.price(ask.dial), trusted, buckets)?;
        Ok(at)
    }

    fn take(
        &self,
        dimension: Dimension,
        shape: Shape,
        buckets: &mut Vec<(Dimension, Bucket)>,
    ) -> Result<(), Held> {
        let mut bucket = self.bucket(dimension, shape);
        if !bucket.has_place() {
            return Err(Held::Empty(dimension));
        }
        bucket.take(shape);
        buckets.push((dimension, bucket));
        Ok(())
    }

    /// Half of the hour's money lies in the bucket and the other half flows in within the hour, so
    /// that no hour costs more than the whole.
    fn spend(
        &self,
        price: u64,
        trusted: bool,
        buckets: &mut Vec<(Dimension, Bucket)>,
    ) -> Result<(), Held> {
        let Some(per_hour) = self.policy.money_per_hour else { return Ok(()) };
        let most = per_hour / 2;
        let stored = self.counts.buckets.get(&Dimension::Money).copied();
        let mut money = stored.unwrap_or(Bucket { left: most, gap: 0, at: self.now });
        let elapsed = self.now.saturating_sub(money.at);
        let back = most.saturating_mul(elapsed) / HOUR;
        if back > 0 {
            money.left = (money.left + back).min(most);
            money.at = self.now;
        }
        // The field that slows other buckets down is the breaker here: 1 is open.
        if money.gap == 1 && money.left * 100 >= most * BREAKER_CLOSES_PERCENT {
            money.gap = 0;
        }
        let reserve = if trusted { 0 } else { most * RESERVE_PERCENT / 100 };
        let refused = money.left < price || (money.gap == 1 && !trusted);
        if refused || money.left - price < reserve {
            money.gap = 1;
            buckets.push((Dimension::Money, money));
            return Err(Held::Money);
        }
        money.left -= price;
        buckets.push((Dimension::Money, money));
        Ok(())
    }

    /// A message waits for a pause that is short, and is held when a longer window is full or when
    /// another message waits already.
    fn number_has_room(&self, trusted: bool) -> Result<u64, Held> {
        let recent = &self.counts.recent;
        let mut at = self.now.max(free_from(&self.policy.number, recent));
        if !trusted {
            at = at.max(free_from(&self.policy.strangers, &self.counts.strangers));
        }
        let waits_already = recent.first().is_some_and(|newest| *newest > self.now);
        if at > self.now && (waits_already || at - self.now > LONGEST_WAIT_SECS) {
            return Err(Held::Number);
        }
        Ok(at)
    }
}

/// When each window has room for one more after these, newest first; 0 when none is full.
fn free_from(windows: &[Window], recent: &[u64]) -> u64 {
    let free = windows.iter().filter_map(|window| {
        let nth = usize::try_from(window.most.saturating_sub(1)).unwrap_or(usize::MAX);
        Some(recent.get(nth)? + window.seconds)
    });
    free.max().unwrap_or(0)
}
