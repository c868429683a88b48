//! Visits every state that can be reached, breadth first, so that what it finds wrong is found by
//! a shortest way; then asks of every state whether a good end can still be reached from it.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Debug,
};

/// Something whose every behaviour is to be seen.
pub trait System {
    /// How it stands.
    type State: Clone;
    /// What can happen.
    type Action: Clone + Debug;

    /// How it begins.
    fn initial(&self) -> Self::State;
    /// What can happen next.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    /// What it makes of that; an error is a broken invariant, in words.
    fn apply(&self, state: &Self::State, action: &Self::Action) -> Result<Self::State, String>;
    /// Tells two states apart.
    fn fingerprint(&self, state: &Self::State) -> u64;
    /// Whether everything that was begun has ended.
    fn has_ended(&self, state: &Self::State) -> bool;
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// States.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// The longest of the shortest ways.
    pub depth: usize,
    /// Whether every state was seen; otherwise the bound was reached.
    pub complete: bool,
    /// What is wrong, with the way to it.
    pub wrong: Option<Wrong>,
}

/// A counterexample.
#[derive(Debug)]
pub struct Wrong {
    /// What.
    pub what: String,
    /// What happened, in order.
    pub way: Vec<String>,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.way.iter().enumerate().try_for_each(|(step, action)| writeln!(f, "  {:2}. {action}", step + 1))
    }
}

/// A hasher that is quick where nothing is optimized. Its low half is mixed at the end, so that
/// a few million states do not collide.
#[derive(Default)]
pub struct Quick(u64);

impl std::hash::Hasher for Quick {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value.cast_unsigned() as u64);
    }
}

/// How a state was first reached.
#[derive(Clone, Copy)]
struct Reached {
    from: u32,
    by: u16,
    depth: u16,
}

/// Explores at most `bound` states.
pub fn explore<S: System>(system: &S, bound: usize) -> Found {
    let first = system.initial();
    let mut known: HashMap<u64, u32> = HashMap::from([(system.fingerprint(&first), 0)]);
    let mut reached = vec![Reached { from: 0, by: 0, depth: 0 }];
    let mut ended = vec![system.has_ended(&first)];
    let mut edges: Vec<(u32, u32)> = Vec::new();
    let mut queue = VecDeque::from([(0u32, first)]);
    let mut found = Found { states: 1, steps: 0, depth: 0, complete: true, wrong: None };

    while let Some((index, state)) = queue.pop_front() {
        for (by, action) in system.actions(&state).iter().enumerate() {
            let by = u16::try_from(by).expect("few things can happen at once");
            found.steps += 1;
            let next = match system.apply(&state, action) {
                Ok(next) => next,
                Err(what) => {
                    let mut way = retrace(system, &reached, index);
                    way.push(format!("{action:?}"));
                    found.wrong = Some(Wrong { what, way });
                    found.states = reached.len();
                    return found;
                }
            };
            let new = u32::try_from(reached.len()).expect("fewer states than that");
            let to = *known.entry(system.fingerprint(&next)).or_insert(new);
            edges.push((to, index));
            if to == new {
                let depth = reached[index as usize].depth + 1;
                found.depth = usize::from(depth);
                reached.push(Reached { from: index, by, depth });
                ended.push(system.has_ended(&next));
                if reached.len() < bound {
                    queue.push_back((new, next));
                } else {
                    found.complete = false;
                }
            }
        }
    }
    found.states = reached.len();
    if found.complete
        && let Some(stuck) = first_without_an_end(&ended, edges)
    {
        let what = "from here nothing that can happen leads to an end".to_owned();
        found.wrong = Some(Wrong { what, way: retrace(system, &reached, stuck) });
    }
    found
}

fn retrace<S: System>(system: &S, reached: &[Reached], to: u32) -> Vec<String> {
    let mut choices = Vec::new();
    let mut at = to;
    while at != 0 {
        let Reached { from, by, .. } = reached[at as usize];
        choices.push(by);
        at = from;
    }
    let mut state = system.initial();
    let mut way = Vec::new();
    for by in choices.into_iter().rev() {
        let action = system.actions(&state)[usize::from(by)].clone();
        way.push(format!("{action:?}"));
        state = system.apply(&state, &action).expect("it was applied before");
    }
    way
}

/// The first state from which no ended one can be reached.
fn first_without_an_end(ended: &[bool], mut edges: Vec<(u32, u32)>) -> Option<u32> {
    edges.sort_unstable();
    let mut can_end = ended.to_vec();
    let indexes = 0..u32::try_from(ended.len()).expect("fewer states than that");
    let mut open: Vec<u32> = indexes.clone().filter(|index| ended[*index as usize]).collect();
    while let Some(to) = open.pop() {
        let start = edges.partition_point(|edge| edge.0 < to);
        for (_, from) in edges[start..].iter().take_while(|edge| edge.0 == to) {
            if !std::mem::replace(&mut can_end[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    indexes.into_iter().find(|index| !can_end[*index as usize])
}
