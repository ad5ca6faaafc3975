//! A day of wishes for messages: text, a line a wish, and the generator of the committed one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::random::{Random, SeededRandom, bytes};

/// Seed of the committed trace.
const SEED: u64 = 20_261_123;
/// The network of the carrier's NAT.
pub(super) const NAT: u64 = 0;
/// The attacked prefix; a number is a prefix and four digits.
const ATTACKED: u64 = 0;
/// Numbers of a prefix.
const NUMBERS: u64 = 10_000;

const LEGITIMATE: u64 = 5_000;
/// One of so many legitimate wishes comes from the attacked prefix and the NAT.
const SHARED: u64 = 5;
/// Customers of the attacked prefix, and of all others.
const CUSTOMERS: [u64; 2] = [250, 1_000];
/// Prefixes and networks of the others.
const PREFIXES: u64 = 200;
const NETWORKS: u64 = 600;
/// Networks that the attack has besides the NAT.
const PROXIES: u64 = 500;
/// The attack goes on from 18:00 for two hours.
const ATTACK_FROM: u64 = 18 * 3600;
const ATTACK_SECS: u64 = 7_200;
/// Shares of the classes, in a thousand: a camera cloud asks for a code at every viewing.
const SHARES: [(Class, u64); 4] =
    [(Class::View, 820), (Class::Login, 60), (Class::Move, 70), (Class::Register, 50)];
/// Of a hundred customers, so many answer.
const ANSWER: u64 = 93;
/// When people watch: weight of each hour of the day.
const HOURS: [u64; 24] =
    [2, 1, 1, 1, 1, 2, 4, 7, 8, 7, 6, 6, 7, 6, 6, 6, 7, 9, 11, 12, 12, 10, 7, 4];
/// The page does not ask for the same number sooner, seconds.
const APART: u64 = 120;
/// Ids of terminals that are new in the trace begin here.
const NEW_TERMINALS: u64 = 100_000;

/// Who wishes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Somebody signed in who wants to watch.
    View,
    /// A customer who signs in on a terminal that was signed in before.
    Login,
    /// A customer on a new terminal.
    Move,
    /// A new customer.
    Register,
    /// The attack.
    Attack,
}

impl Class {
    const ALL: [(Self, char); 5] = [
        (Self::View, 'v'),
        (Self::Login, 'l'),
        (Self::Move, 'm'),
        (Self::Register, 'r'),
        (Self::Attack, 'a'),
    ];

    fn letter(self) -> char {
        let found = Self::ALL.into_iter().find(|(class, _)| *class == self);
        found.map_or('?', |(_, letter)| letter)
    }

    /// Whether the terminal answered a code of the number before the trace begins.
    pub(super) fn terminal_is_known(self) -> bool {
        matches!(self, Self::View | Self::Login)
    }

    /// Name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "watch, signed in",
            Self::Login => "sign in, known terminal",
            Self::Move => "sign in, new terminal",
            Self::Register => "register",
            Self::Attack => "attack",
        }
    }
}

/// One wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Seconds since the trace began.
    pub at: u64,
    /// Who.
    pub class: Class,
    /// The number: prefix and four digits.
    pub number: u64,
    /// The terminal.
    pub terminal: u64,
    /// The network that it asks from.
    pub network: u64,
    /// Seconds from the message to the right code; `None`: never.
    pub answers_after: Option<u64>,
}

impl Wish {
    /// The number without its last four digits.
    pub fn prefix(&self) -> u64 {
        self.number / NUMBERS
    }
}

/// A trace, in the order of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The wishes.
    pub wishes: Vec<Wish>,
}

/// Why a text is no trace.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "line {0} of the trace is not `seconds class number terminal network answer`, in order of time"
)]
pub struct BadTrace(pub usize);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for wish in &self.wishes {
            let Wish { at, class, number, terminal, network, answers_after } = wish;
            let answer = answers_after.map_or("-".to_owned(), |after| after.to_string());
            writeln!(f, "{at} {} {number} {terminal} {network} {answer}", class.letter())?;
        }
        Ok(())
    }
}

impl FromStr for Trace {
    type Err = BadTrace;

    fn from_str(text: &str) -> Result<Self, BadTrace> {
        let mut wishes: Vec<Wish> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let wish = parse(line).ok_or(BadTrace(index + 1))?;
            if wishes.last().is_some_and(|last| last.at > wish.at) {
                return Err(BadTrace(index + 1));
            }
            wishes.push(wish);
        }
        Ok(Self { wishes })
    }
}

fn parse(line: &str) -> Option<Wish> {
    let words: Vec<&str> = line.split(' ').collect();
    let [at, class, number, terminal, network, answer] = words[..] else { return None };
    let letter = class.chars().next().filter(|_| class.len() == 1)?;
    let (class, _) = Class::ALL.into_iter().find(|(_, own)| *own == letter)?;
    let number_of = |text: &str| text.parse::<u64>().ok().filter(|n| *n < 1 << 40);
    Some(Wish {
        at: number_of(at)?,
        class,
        number: number_of(number)?,
        terminal: number_of(terminal)?,
        network: number_of(network)?,
        answers_after: if answer == "-" { None } else { Some(number_of(answer)?) },
    })
}

impl Trace {
    /// Numbers that belong to customers.
    pub(super) fn customers(&self) -> BTreeSet<u64> {
        let legitimate = self.wishes.iter().filter(|wish| wish.class != Class::Attack);
        legitimate.map(|wish| wish.number).collect()
    }

    /// The day whose text is committed.
    pub fn committed() -> Self {
        Self::generate(SEED)
    }

    /// A day with an attack. The same seed gives the same day.
    pub fn generate(seed: u64) -> Self {
        let mut maker = Maker { random: SeededRandom::new(seed), terminals: NEW_TERMINALS };
        let mut wishes = maker.legitimate();
        wishes.extend(maker.attack());
        wishes.sort_by_key(|wish| (wish.at, wish.number));
        Self { wishes }
    }
}

struct Maker {
    random: SeededRandom,
    /// Last id of a terminal.
    terminals: u64,
}

impl Maker {
    fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(bytes(&self.random as &dyn Random)) % bound
    }

    /// A pick by weight.
    fn weighted<T: Copy>(&self, weights: impl Iterator<Item = (T, u64)> + Clone) -> T {
        let mut left = self.below(weights.clone().map(|(_, weight)| weight).sum());
        let mut picked = None;
        for (value, weight) in weights {
            if left < weight {
                picked = Some(value);
                break;
            }
            left -= weight;
        }
        picked.expect("the weights add up to more than what is left")
    }

    fn new_terminal(&mut self) -> u64 {
        self.terminals += 1;
        self.terminals
    }

    fn legitimate(&mut self) -> Vec<Wish> {
        let mut times: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut wishes = Vec::new();
        for n in 0..LEGITIMATE {
            let shared = n % SHARED == 0;
            let (first, count) =
                if shared { (0, CUSTOMERS[0]) } else { (CUSTOMERS[0], CUSTOMERS[1]) };
            let customer = first + (n / SHARED + n % SHARED * 251) % count;
            let class = self.weighted(SHARES.into_iter());
            let place =
                if class == Class::Register { CUSTOMERS[0] + CUSTOMERS[1] + n } else { customer };
            let number = number(shared, place);
            let taken = times.entry(number).or_default();
            let hour = self.weighted((0..24).zip(HOURS));
            let mut at = hour * 3600 + self.below(3600);
            while taken.iter().any(|other| at.abs_diff(*other) < APART) {
                at += APART;
            }
            taken.push(at);
            let terminal = if class.terminal_is_known() { customer } else { self.new_terminal() };
            let network = if shared { NAT } else { 1000 + place % NETWORKS };
            let answers = self.below(100) < ANSWER;
            let after = 12 + self.below(78);
            wishes.push(Wish {
                at,
                class,
                number,
                terminal,
                network,
                answers_after: answers.then_some(after),
            });
        }
        wishes
    }

    /// Each number of the prefix once, in no order, half of them through the NAT.
    fn attack(&mut self) -> Vec<Wish> {
        let mut numbers: Vec<u64> = (0..NUMBERS).map(|n| ATTACKED * NUMBERS + n).collect();
        for last in (1..numbers.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            numbers.swap(last, other);
        }
        let mut wishes = Vec::new();
        for (n, number) in numbers.into_iter().enumerate() {
            let at = ATTACK_FROM + n as u64 * ATTACK_SECS / NUMBERS + self.below(3);
            let network = if self.below(2) == 0 { NAT } else { 5000 + self.below(PROXIES) };
            let (class, terminal) = (Class::Attack, self.new_terminal());
            wishes.push(Wish { at, class, number, terminal, network, answers_after: None });
        }
        wishes
    }
}

/// The number of a customer. Those of the attacked prefix are spread over it.
fn number(shared: bool, place: u64) -> u64 {
    if shared {
        ATTACKED * NUMBERS + place * 7919 % NUMBERS
    } else {
        let prefix = ATTACKED + 1 + place % PREFIXES;
        prefix * NUMBERS + place * 7919 % NUMBERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_wish_is_named() {
        assert!("1 v 2 3 4 5\n1 a 2 3 4 -\n".parse::<Trace>().is_ok());
        for (text, line) in [
            ("1 v 2 3 4", 1),
            ("1 x 2 3 4 5", 1),
            ("1 vv 2 3 4 5", 1),
            ("2 v 2 3 4 5\n1 v 2 3 4 5", 2),
            ("1 v 9999999999999 3 4 5", 1),
            ("1 v 2 3 4 never", 1),
        ] {
            assert_eq!(text.parse::<Trace>(), Err(BadTrace(line)), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let trace = Trace::generate(1);
        assert_eq!(trace.to_string().parse(), Ok(trace));
    }
}
