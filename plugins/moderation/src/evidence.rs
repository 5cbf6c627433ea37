//! Whether what was read along a path is that word in disguise, or an innocent text that can be read that way.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use crate::{
    config::Mode,
    glyphs::{Kind, Script},
    normalise::{Cell, Skeleton},
    trie::Word,
};

/// How a cell was taken for a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    /// Another letter that looks or sounds like it.
    Twin,
    Digit,
    Mark,
    /// A mark that stands for any letter.
    Wild,
    /// The letter before, once more.
    Again,
}

/// A part of the way along a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub cell: usize,
    /// How many cells it takes.
    pub cells: usize,
    /// How many letters of the word it stands for.
    pub used: u32,
    pub letter: char,
    pub how: How,
    /// Whether a gap of the phrase itself follows.
    pub phrase: bool,
}

/// Words that hold a listed word and are innocent.
static INNOCENTS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("innocents.txt").split_whitespace().collect());
/// Short words of everyday language: what is made of them alone is no word that was torn apart.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common.txt").split_whitespace().collect());

/// How far an innocent word is looked for on both sides of what was found, and a gap's end, in cells.
const WORD_REACH: usize = 32;

/// What excuses a word: those built in, and the spans of the text that an operator allows.
pub(crate) struct Innocents<'a> {
    /// Whether something allowed stands over these bytes of the text; asked once a word was found.
    pub allowed: &'a dyn Fn(&Range<usize>) -> bool,
}

impl Innocents<'_> {
    /// Whether the word that was found stands within an innocent one.
    pub(crate) fn excuse(&self, skeleton: &Skeleton, word: &Word, path: &[Step], span: &Range<usize>) -> bool {
        let cells = &skeleton.cells;
        if !has_gaps(cells, path) {
            let around = word_around(cells, path);
            if !around.chars().eq(word.letters.iter().copied()) && INNOCENTS.contains(&*around) {
                return true;
            }
        }
        (self.allowed)(span)
    }
}

/// Whether a word may start at this cell.
pub(crate) fn starts_word(cells: &[Cell], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|i| &cells[i]) else { return true };
    match before.kind {
        Kind::Letter => parts(before, &cells[at]),
        Kind::Digit => cells[at].kind != Kind::Digit,
        // `Sara's hit`, `push_it`
        _ if matches!(before.main, '\'' | '’' | '_') && before.run == 1 => {
            !at.checked_sub(2).is_some_and(|i| matches!(cells[i].kind, Kind::Letter | Kind::Digit))
                || before.main == '_' && cells.get(at + 1).is_none_or(|next| next.main == '_')
        }
        _ => true,
    }
}

fn ends_word(cells: &[Cell], last: usize) -> bool {
    let Some(behind) = cells.get(last + 1) else { return true };
    match behind.kind {
        Kind::Letter => parts(behind, &cells[last]),
        Kind::Digit => cells[last].kind != Kind::Digit,
        _ if behind.main == '_' && behind.run == 1 => {
            cells.get(last + 2).is_none_or(|next| next.separates())
                || last.checked_sub(1).is_some_and(|i| cells[i].main == '_')
        }
        _ => true,
    }
}

/// Whether a neighbour is a letter of another script, which no reader takes for a part of the word.
fn parts(neighbour: &Cell, edge: &Cell) -> bool {
    !neighbour.main.is_ascii()
        && (neighbour.script == Script::Unspaced || edge.main.is_ascii() && neighbour.script != edge.script)
}

/// The bytes of the path. An override may have turned it round.
pub(crate) fn span(cells: &[Cell], path: &[Step]) -> Range<usize> {
    let taken = path.iter().flat_map(|step| &cells[step.cell..step.cell + step.cells]);
    let (start, end) = taken.fold((usize::MAX, 0), |(start, end), cell| (start.min(cell.start), end.max(cell.end)));
    start..end
}

fn first_and_last(path: &[Step]) -> (usize, usize) {
    let first = path.first().map_or(0, |step| step.cell);
    (first, path.last().map_or(first, |step| step.cell + step.cells - 1))
}

/// Whether something that is no gap of a phrase stands between two letters.
fn has_gaps(cells: &[Cell], path: &[Step]) -> bool {
    gaps(path).any(|(gap, phrase)| !phrase && !cells[gap].is_empty())
}

/// What stands between the letters, with whether the word itself has a gap there. Empty ones are left out.
fn gaps(path: &[Step]) -> impl Iterator<Item = (Range<usize>, bool)> {
    path.windows(2)
        .map(|pair| (pair[0].cell + pair[0].cells..pair[1].cell, pair[0].phrase))
        .filter(|(gap, _)| !gap.is_empty())
}

/// The whole word in which the path stands, in small letters.
fn word_around(cells: &[Cell], path: &[Step]) -> String {
    let (mut first, mut last) = first_and_last(path);
    let in_word = |at: usize| cells.get(at).is_some_and(|cell| cell.kind == Kind::Letter);
    let (left, right) = (first.saturating_sub(WORD_REACH), last + WORD_REACH);
    while first > left && in_word(first - 1) {
        first -= 1;
    }
    while last < right && in_word(last + 1) {
        last += 1;
    }
    let letters = cells[first..=last].iter().filter(|cell| !cell.separates());
    letters.flat_map(|cell| std::iter::repeat_n(cell.main, cell.run.min(8) as usize)).collect()
}

/// Whether the path is that word.
pub(crate) fn holds(skeleton: &Skeleton, word: &Word, path: &[Step]) -> bool {
    let cells = &skeleton.cells;
    let (first, last) = first_and_last(path);
    borders_hold(cells, word, first, last)
        && letters_hold(word, path, cells)
        && script_holds(skeleton, word, path)
        && repeats_hold(cells, word, path)
        && gaps_hold(cells, word, path)
}

fn borders_hold(cells: &[Cell], word: &Word, first: usize, last: usize) -> bool {
    // digits beside a short word make a number or a name of it: `A55`, `ass1`
    let digit = |at: Option<usize>| at.and_then(|at| cells.get(at)).is_some_and(|cell| cell.kind == Kind::Digit);
    let short = word.letters.len() < 4 && (digit(first.checked_sub(1)) || digit(Some(last + 1)));
    match word.mode {
        Mode::Anywhere => true,
        Mode::Whole => !short && starts_word(cells, first) && ends_word(cells, last),
        Mode::Prefix => !short && starts_word(cells, first),
    }
}

/// Whether enough of it are letters, and the others stand where one writes them.
fn letters_hold(word: &Word, path: &[Step], cells: &[Cell]) -> bool {
    let len = word.letters.len();
    let count = |how: How| path.iter().filter(|step| step.how == how).count();
    let used = |how: How| path.iter().filter(|step| step.how == how).map(|step| step.used as usize).sum::<usize>();
    let plain = used(How::Plain);
    let (digits, marks, wild, twins) = (count(How::Digit), count(How::Mark), used(How::Wild), count(How::Twin));
    if digits + marks + wild + twins == 0 {
        return true;
    }
    let latin_twin = |step: &&Step| step.how == How::Twin && cells[step.cell].script == Script::Latin;
    if len < 5 && path.iter().filter(latin_twin).any(|step| step.letter == 'i') {
        return false;
    }
    if plain + twins < 2 || wild > 0 && (len < 4 || wild > 2 || plain < 2 || plain + 1 < wild * 2 + digits + marks) {
        return false;
    }
    let (start, end) = (path.first(), path.last());
    let at_edge = |how: How| start.is_some_and(|s| s.how == how) || end.is_some_and(|s| s.how == how);
    // a mark or digit at the edge is mostly punctuation, an amount, a number
    if at_edge(How::Wild) || len < 4 && at_edge(How::Digit) && digits + marks > 1 {
        return false;
    }
    path.iter().all(|step| match step.how {
        How::Wild => {
            let joined = |at: Option<usize>| at.and_then(|at| cells.get(at)).is_some_and(|c| !c.separates());
            let dashes = matches!(cells[step.cell].main, '_' | '-' | '.' | '?' | '%');
            joined(step.cell.checked_sub(1)) && joined(Some(step.cell + 1)) && (!dashes || len >= 5 && plain + 1 >= len)
        }
        _ => true,
    })
}

/// Whether a word in Latin letters stands in Latin letters, or in others that can only imitate them.
fn script_holds(skeleton: &Skeleton, word: &Word, path: &[Step]) -> bool {
    let scripts = || {
        let letters = path.iter().map(|step| &skeleton.cells[step.cell]);
        letters.filter(|cell| cell.kind == Kind::Letter).map(|cell| cell.script)
    };
    if word.letters.iter().all(char::is_ascii) {
        let Some(first) = scripts().find(|script| *script != Script::Latin) else { return true };
        return scripts().any(|script| script == Script::Latin) || !skeleton.is_written_in(first);
    }
    true
}

/// Whether letters are repeated as nobody writes who does not hide or shout.
fn repeats_hold(cells: &[Cell], word: &Word, path: &[Step]) -> bool {
    let mut excess = false;
    for (i, step) in path.iter().enumerate() {
        if step.how == How::Wild {
            continue;
        }
        let run = cells[step.cell].run;
        let again = path[i + 1..].iter().take_while(|next| next.how == How::Again).count() as u32;
        if step.how == How::Again || run + again <= step.used || step.letter == 'w' && step.how == How::Twin {
            continue;
        }
        excess = true;
        let total = run + again;
        // one letter too many makes another word of a short one: `lose`, `loose`
        if word.letters.len() < 4 && total < 3 {
            return false;
        }
    }
    if excess {
        // every letter may be, a letter that only looks like it and comes again may not
        return word.letters.len() >= 3;
    }
    true
}

fn gaps_hold(cells: &[Cell], word: &Word, path: &[Step]) -> bool {
    if !has_gaps(cells, path) {
        return true;
    }
    let (first, last) = first_and_last(path);
    let pieces = pieces(cells, path);
    if pieces.iter().all(|piece| piece.cells == 1) {
        return spelled_out(cells, word, path, first, last, pieces.len());
    }
    if word.letters.len() < 4 || pieces.iter().any(|piece| piece.digits_only) {
        return false;
    }
    // `he'll`, `Lo. Ser`
    let gaps: Vec<&[Cell]> = gaps(path).filter(|(_, phrase)| !phrase).map(|(gap, _)| &cells[gap]).collect();
    let spaced = gaps.iter().any(|gap| gap.iter().any(|cell| cell.kind == Kind::Space));
    if gaps.iter().any(|gap| gap.iter().any(|cell| matches!(cell.main, '\'' | '’' | '`'))) {
        return false;
    }
    if !spaced {
        return stands_alone(cells, first, last);
    }
    let sentence = |gap: &&[Cell]| {
        gap.iter()
            .any(|c| c.kind == Kind::Mark && matches!(c.main, '.' | ',' | ';' | ':' | '!' | '?' | ')' | '"' | '…'))
            || gap.iter().any(|c| c.kind == Kind::Space && c.run > 2)
    };
    if gaps.iter().any(sentence) || !starts_word(cells, first) || !ends_word(cells, last) {
        return false;
    }
    let known = |piece: &Piece| piece.cells == 1 || COMMON.contains(&*piece.letters);
    let name = |piece: &Piece| piece.cells > 1 && piece.named;
    // the longer pieces are no words, nor a name
    !pieces.iter().all(known) && !pieces.iter().skip(1).any(name)
}

/// Letters that stand together.
struct Piece {
    cells: usize,
    digits_only: bool,
    letters: String,
    /// Whether it has a capital first and small letters behind.
    named: bool,
}

fn pieces(cells: &[Cell], path: &[Step]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut behind = None;
    for step in path {
        let digit = cells[step.cell].kind == Kind::Digit;
        let upper = cells[step.cell].upper;
        let letters = std::iter::repeat_n(cells[step.cell].main, cells[step.cell].run.min(8) as usize);
        match pieces.last_mut() {
            Some(piece) if behind == Some(step.cell) => {
                piece.cells += 1;
                piece.digits_only &= digit;
                piece.letters.extend(letters);
                piece.named &= !upper;
            }
            _ => pieces.push(Piece { cells: 1, digits_only: digit, letters: letters.collect(), named: upper }),
        }
        behind = Some(step.cell + step.cells);
    }
    pieces
}

/// Whether letters one by one are that word alone, not a part of a longer one that is spelled out.
fn spelled_out(cells: &[Cell], word: &Word, path: &[Step], first: usize, last: usize, letters: usize) -> bool {
    if letters < 3 {
        return false;
    }
    if word.mode == Mode::Anywhere {
        return true;
    }
    let Some((gap, _)) = gaps(path).next() else { return true };
    let spaces = cells[gap.clone()].iter().filter(|c| c.kind == Kind::Space).map(|c| c.run).sum::<u32>();
    let mark = cells[gap].iter().find(|c| c.kind == Kind::Mark).map(|c| c.main);
    // a single letter beside it, in the same distance
    let neighbour = |near: Option<usize>, far: Option<usize>, farther: Option<usize>| {
        let get = |at: Option<usize>| at.and_then(|at| cells.get(at));
        let (Some(near), Some(far)) = (get(near), get(far)) else { return None };
        let same = match near.kind {
            Kind::Space => mark.is_none() && near.run == spaces,
            Kind::Mark => mark == Some(near.main) && spaces == 0,
            _ => false,
        };
        let single = !far.separates() && far.run == 1 && get(farther).is_none_or(Cell::separates);
        (same && single && far.kind == Kind::Letter).then_some(far.main)
    };
    let back = |n: usize| first.checked_sub(n);
    let before = neighbour(back(1), back(2), back(3));
    let after = neighbour(Some(last + 1), Some(last + 2), Some(last + 3));
    let harmless = |c: Option<char>| matches!(c, None | Some('a' | 'i' | 'u' | 'o'));
    harmless(before) && (word.mode == Mode::Prefix || harmless(after))
}

/// Whether nothing but punctuation joins it to other letters: `sp.am`, not `as.sass.in`.
fn stands_alone(cells: &[Cell], first: usize, last: usize) -> bool {
    let prose = |cell: Option<&Cell>| cell.is_none_or(|cell| cell.kind == Kind::Space);
    prose(cells[..first].iter().rev().take(WORD_REACH).find(|cell| cell.kind != Kind::Mark))
        && prose(cells[last + 1..].iter().take(WORD_REACH).find(|cell| cell.kind != Kind::Mark))
}
