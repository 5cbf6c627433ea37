//! How well disguised words and links are told from innocent look-alikes: precision and recall for each kind.
//!
//! `generated.tsv` is what `generate.py` writes; `hand.tsv` and `heldout.tsv` are written by hand. The held-out cases were
//! written after the engine had been tuned on the others. On first sight of them it had precision 0.9963 and recall
//! 0.9604, worst for leetspeak (recall 0.8750) and homoglyphs (0.9062); some causes have been mended since, so what is
//! printed for them now is no measure of the unseen any more.

use std::collections::BTreeMap;

use moderation::{Action, Config, Engine, Message};

/// The least precision and recall of each kind.
const LEAST: f64 = 0.98;
/// The least number of cases of each kind.
const CASES_MIN: u32 = 300;

const FILES: &[&str] = &[
    include_str!("../corpus/generated.tsv"),
    include_str!("../corpus/hand.tsv"),
    include_str!("../corpus/heldout.tsv"),
];

struct Case {
    bad: bool,
    kind: &'static str,
    held_out: bool,
    text: String,
}

#[derive(Clone, Copy, Default)]
struct Score {
    hits: u32,
    missed: u32,
    wrong: u32,
    passed: u32,
}

impl Score {
    fn add(&mut self, bad: bool, found: bool) {
        let count = match (bad, found) {
            (true, true) => &mut self.hits,
            (true, false) => &mut self.missed,
            (false, true) => &mut self.wrong,
            (false, false) => &mut self.passed,
        };
        *count += 1;
    }

    fn precision(self) -> f64 {
        f64::from(self.hits) / f64::from((self.hits + self.wrong).max(1))
    }

    fn recall(self) -> f64 {
        f64::from(self.hits) / f64::from((self.hits + self.missed).max(1))
    }

    fn cases(self) -> u32 {
        self.hits + self.missed + self.wrong + self.passed
    }

    fn print(self, kind: &str) {
        let (precision, recall) = (self.precision(), self.recall());
        println!("{kind:<22} {:>5} cases  precision {precision:.4}  recall {recall:.4}", self.cases());
    }
}

fn engine() -> Engine {
    let config: Config = serde_json::from_str(include_str!("../corpus/config.json")).expect("config.json is a config");
    Engine::new(&config).expect("config.json has right values")
}

/// `\u{200b}` and `\\` in a corpus stand for the characters.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = behind.strip_prefix("u{").and_then(|code| code.split_once('}'));
        rest = match code.and_then(|(hex, rest)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, rest))) {
            Some((c, rest)) => {
                plain.push(c);
                rest
            }
            None => {
                plain.push('\\');
                behind.strip_prefix('\\').unwrap_or(behind)
            }
        };
    }
    plain + rest
}

fn cases() -> Vec<Case> {
    let lines = FILES.iter().flat_map(|file| file.lines().skip(1));
    let case = |line: &'static str| {
        let mut columns = line.splitn(4, '\t');
        let mut next = || columns.next().unwrap_or_else(|| panic!("a column is missing: {line}"));
        let (label, kind, set, text) = (next(), next(), next(), next());
        assert!(matches!(label, "bad" | "ok") && matches!(set, "tuned" | "heldout"), "{line}");
        Case { bad: label == "bad", kind, held_out: set == "heldout", text: unescape(text) }
    };
    lines.map(case).collect()
}

#[test]
fn evasions_are_found_and_look_alikes_are_not() {
    let engine = engine();
    let mut tuned: BTreeMap<&str, Score> = BTreeMap::new();
    let mut held_out: BTreeMap<&str, Score> = BTreeMap::new();
    let mut all: BTreeMap<&str, Score> = BTreeMap::new();
    for case in cases() {
        let verdict = engine.judge(&Message { text: &case.text, ..Message::default() });
        let found = verdict.action() > Action::Allow;
        if found != case.bad {
            let label = if case.bad { "missed" } else { "wrong" };
            let set = if case.held_out { "heldout" } else { "tuned" };
            println!("{label}\t{}\t{set}\t{}\t{:?}", case.kind, case.text.escape_debug(), verdict.findings);
        }
        let set = if case.held_out { &mut held_out } else { &mut tuned };
        for score in [set.entry(case.kind), all.entry(case.kind)] {
            score.or_default().add(case.bad, found);
        }
    }
    for (name, scores) in [("tuned", &tuned), ("held out", &held_out), ("all", &all)] {
        println!("-- {name}");
        let mut total = Score::default();
        for (kind, score) in scores {
            score.print(kind);
            total.hits += score.hits;
            total.missed += score.missed;
            total.wrong += score.wrong;
            total.passed += score.passed;
        }
        total.print("total");
    }
    for (kind, score) in all {
        assert!(score.cases() >= CASES_MIN, "{kind} has {} cases", score.cases());
        assert!(score.precision() >= LEAST, "{kind}: precision {:.4}", score.precision());
        assert!(score.recall() >= LEAST, "{kind}: recall {:.4}", score.recall());
    }
}
