//! Finds words of a trie in a skeleton, through digits and marks for letters, gaps, and repeated letters.

use std::ops::Range;

use crate::{
    evidence::{self, How, Innocents, Step},
    glyphs::Kind,
    normalise::{Cell, Skeleton},
    trie::Trie,
};

/// The most steps of a search from one place. A readable word needs about as many as it has letters; the limit bounds
/// what a text made to be ambiguous can cost.
const STEPS_MAX: u32 = 400;
/// The steps of a whole text after which each place has but few.
const STEPS_FREE: u32 = 20_000;
const STEPS_MAX_LATER: u32 = 40;
/// The most cells of a text that one match may take.
const PATH_MAX: usize = 160;
/// The most marks and spaces between two letters.
const GAP_MAX: u32 = 5;

/// A word found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The word's place in the trie's list.
    pub word: usize,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The cell behind it.
    end: usize,
}

/// All places where words of the trie stand, from left to right; of words that overlap the longest.
pub(crate) fn find(skeleton: &Skeleton, trie: &Trie, bounded: bool, innocents: &Innocents<'_>) -> Vec<Hit> {
    let cells = &skeleton.cells;
    let mut hits = Vec::new();
    if trie.words.is_empty() {
        return hits;
    }
    let mut search = Search { skeleton, trie, innocents, path: Vec::new(), steps: 0, steps_max: STEPS_MAX, best: None };
    let mut at = 0;
    let mut total = 0;
    while at < cells.len() {
        if !may_start(trie, cells, at) || bounded && !evidence::starts_word(cells, at) {
            at += 1;
            continue;
        }
        search.steps_max = if total < STEPS_FREE { STEPS_MAX } else { STEPS_MAX_LATER };
        search.steps = 0;
        search.walk(0, at);
        total += search.steps;
        at = match search.best.take() {
            Some(hit) => {
                let behind = hit.end.max(at + 1);
                hits.push(hit);
                behind
            }
            None => at + 1,
        };
    }
    hits
}

fn may_start(trie: &Trie, cells: &[Cell], at: usize) -> bool {
    let cell = &cells[at];
    match cell.kind {
        Kind::Space | Kind::Hidden => false,
        Kind::Mark if matches!(cell.main, '(' | '<' | '[' | '{' | '+' | '#') => false,
        Kind::Mark if matches!(cell.main, '\\' | '/') => true,
        _ => {
            (cell.kind != Kind::Mark && trie.may_start(cell.main))
                || cell.alts.iter().any(|alt| *alt != 0 && trie.may_start(char::from(*alt)))
                || matches!(cell.main, 'p' | 'v')
        }
    }
}

struct Search<'a> {
    skeleton: &'a Skeleton,
    trie: &'a Trie,
    innocents: &'a Innocents<'a>,
    path: Vec<Step>,
    steps: u32,
    steps_max: u32,
    best: Option<Hit>,
}

impl Search<'_> {
    fn walk(&mut self, node: u32, at: usize) {
        self.walk_gap(node, at, 0);
    }

    /// Goes on at a cell, behind `gap` cells that were taken for a gap.
    fn walk_gap(&mut self, node: u32, at: usize, gap: u32) {
        self.steps += 1;
        if self.steps > self.steps_max || self.path.len() > PATH_MAX {
            return;
        }
        if gap == 0 && !self.path.is_empty() {
            self.accept(node);
        }
        let Some(cell) = self.skeleton.cells.get(at).copied() else { return };
        if cell.kind != Kind::Space {
            self.letters(node, at, &cell);
        }
        if self.path.is_empty() {
            return;
        }
        if self.trie.child(node, ' ').is_some() {
            self.phrase_gap(node, at);
        }
        if cell.separates() && gap + cell.run <= GAP_MAX {
            self.walk_gap(node, at + 1, gap + cell.run);
        }
    }

    /// Takes the cell for a letter, in every way that the trie knows.
    fn letters(&mut self, node: u32, at: usize, cell: &Cell) {
        if cell.kind != Kind::Mark {
            self.letter(node, at, cell, cell.main, How::Plain);
        }
        let how = match cell.kind {
            Kind::Digit => How::Digit,
            Kind::Mark => How::Mark,
            _ => How::Twin,
        };
        for alt in cell.alts.into_iter().filter(|alt| *alt != 0) {
            self.letter(node, at, cell, char::from(alt), how);
        }
        if let Some((letter, cells)) = digraph(&self.skeleton.cells[at..])
            && let Some(child) = self.trie.child(node, letter)
        {
            let how = if cell.kind == Kind::Letter { How::Twin } else { How::Mark };
            self.step(child, at, Step { cell: at, cells, used: 1, letter, how, phrase: false });
        }
        // the same letter again, perhaps behind a gap or in another disguise
        if let Some(last) = self.path.last().copied()
            && cell.may_be(last.letter)
            && last.how != How::Wild
        {
            let used = 0;
            self.step(node, at, Step { cell: at, cells: 1, used, letter: last.letter, how: How::Again, phrase: false });
        }
        if matches!(cell.main, '*' | '#' | '%' | '_' | '-' | '.' | '?') && !self.path.is_empty() && cell.run <= 2 {
            self.wild(node, at, cell);
        }
    }

    fn letter(&mut self, node: u32, at: usize, cell: &Cell, letter: char, how: How) {
        let mut node = node;
        for used in 1..=cell.run {
            let Some(child) = self.trie.child(node, letter) else { return };
            self.step(child, at, Step { cell: at, cells: 1, used, letter, how, phrase: false });
            node = child;
        }
    }

    /// Takes a mark for any letter: `sp*m`.
    fn wild(&mut self, node: u32, at: usize, cell: &Cell) {
        if self.path.iter().filter(|step| step.how == How::Wild).count() >= 2 {
            return;
        }
        let inner = |at: Option<usize>| at.and_then(|at| self.skeleton.cells.get(at)).is_some_and(|c| !c.separates());
        if !inner(at.checked_sub(1)) || !inner(Some(at + 1)) {
            return;
        }
        let mut nodes: Vec<(char, u32)> = self.trie.children(node).to_vec();
        for _ in 1..cell.run {
            nodes = nodes.iter().flat_map(|(_, node)| self.trie.children(*node).iter().copied()).collect();
        }
        for (letter, child) in nodes.into_iter().filter(|(letter, _)| *letter != ' ') {
            let step = Step { cell: at, cells: 1, used: cell.run, letter, how: How::Wild, phrase: false };
            self.step(child, at, step);
        }
    }

    /// The gap of a phrase, which may be left out.
    fn phrase_gap(&mut self, node: u32, at: usize) {
        let Some(child) = self.trie.child(node, ' ') else { return };
        let mut behind = at;
        let mut gap = 0;
        while let Some(cell) = self.skeleton.cells.get(behind).filter(|cell| cell.separates()) {
            gap += cell.run;
            if gap > GAP_MAX {
                return;
            }
            behind += 1;
        }
        let Some(last) = self.path.last_mut() else { return };
        let before = std::mem::replace(&mut last.phrase, true);
        let depth = self.path.len();
        self.walk_gap(child, behind, 0);
        self.path.truncate(depth);
        if let Some(last) = self.path.last_mut() {
            last.phrase = before;
        }
    }

    fn step(&mut self, node: u32, at: usize, step: Step) {
        self.path.push(step);
        self.walk_gap(node, at + step.cells, 0);
        self.path.pop();
    }

    fn accept(&mut self, node: u32) {
        for &word in self.trie.words_at(node) {
            let end = self.path.last().map_or(0, |step| step.cell + step.cells);
            if self.best.as_ref().is_some_and(|best| best.end >= end) {
                continue;
            }
            self.steps += self.path.len() as u32;
            let of_word = &self.trie.words[word as usize];
            if !evidence::holds(self.skeleton, of_word, &self.path) {
                continue;
            }
            let span = evidence::span(&self.skeleton.cells, &self.path);
            if !self.innocents.excuse(self.skeleton, of_word, &self.path, &span) {
                self.best = Some(Hit { word: word as usize, span, end });
            }
        }
    }
}

/// Several characters that together stand for one letter.
fn digraph(cells: &[Cell]) -> Option<(char, usize)> {
    let at = |i: usize| cells.get(i).map_or(' ', |cell| cell.main);
    match (at(0), at(1)) {
        ('p', 'h') => Some(('f', 2)),
        ('v', _) if cells[0].run == 2 => Some(('w', 1)),
        ('\\', '/') if at(2) == '\\' && at(3) == '/' => Some(('w', 4)),
        ('\\', '/') => Some(('v', 2)),
        ('|', '\\') if at(2) == '/' && at(3) == '|' => Some(('m', 4)),
        ('|', '\\') if at(2) == '|' => Some(('n', 3)),
        ('/', '\\') if at(2) == '/' && at(3) == '\\' => Some(('m', 4)),
        ('/', '\\') => Some(('a', 2)),
        ('/', '-') if at(2) == '\\' => Some(('a', 3)),
        ('|', '-') if at(2) == '|' => Some(('h', 3)),
        ('(', ')') | ('[', ']') => Some(('o', 2)),
        ('|', ')') => Some(('d', 2)),
        ('|', '>') => Some(('p', 2)),
        ('|', '3') => Some(('b', 2)),
        ('|', '<') | ('|', '{') => Some(('k', 2)),
        _ => None,
    }
}
