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
/// The same without doubled letters.
static INNOCENTS_SQUEEZED: LazyLock<HashSet<String>> =
    LazyLock::new(|| INNOCENTS.iter().map(|word| squeezed(word)).collect());
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
            let letters: String = word.letters.iter().collect();
            for twin in [0, 1] {
                let around = word_around(cells, path, twin);
                let short = squeezed(&around);
                let plainly = around != letters && INNOCENTS.contains(&*around);
                if plainly || short != squeezed(&letters) && INNOCENTS_SQUEEZED.contains(&short) {
                    return true;
                }
            }
        }
        (self.allowed)(span)
    }
}

/// Whether a word may start at this cell.
pub(crate) fn starts_word(cells: &[Cell], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|at| cells.get(at));
    let Some(near) = before(1) else { return true };
    match near.kind {
        // `Sara's hit`, `push_it`
        Kind::Mark if matches!(near.main, '\'' | '’' | '_') && near.run == 1 => {
            !before(2).is_some_and(is_inner)
                || near.main == '_' && cells.get(at + 1).is_none_or(|next| next.main == '_')
        }
        _ => !joins(near, &cells[at], (1..).map_while(before)),
    }
}

fn ends_word(cells: &[Cell], last: usize) -> bool {
    let behind = |n: usize| cells.get(last + n);
    let Some(near) = behind(1) else { return true };
    match near.kind {
        Kind::Mark if near.main == '_' && near.run == 1 => {
            !behind(2).is_some_and(is_inner) || last.checked_sub(1).is_some_and(|i| cells[i].main == '_')
        }
        _ => !joins(near, &cells[last], (1..).map_while(behind)),
    }
}

/// Whether a neighbour makes the word a part of a longer one. `outward` are the cells on its side, it first.
fn joins<'a>(near: &Cell, edge: &Cell, mut outward: impl Iterator<Item = &'a Cell>) -> bool {
    match near.kind {
        Kind::Letter => !parts(near, edge),
        Kind::Digit if edge.kind == Kind::Digit => true,
        // `creep3r`, but `scam2024`
        Kind::Digit => outward.find(|cell| cell.kind != Kind::Digit).is_some_and(is_inner),
        // `darn!ng`, but `scam!stop`
        Kind::Mark if near.main == '!' && near.run == 1 => {
            let letters = outward.skip(1).take(3).take_while(|cell| is_inner(cell)).count();
            (1..3).contains(&letters)
        }
        // `c|ass`, `s*hell`
        Kind::Mark if near.run == 1 && (near.alts[0] != 0 && near.main != '(' || matches!(near.main, '*' | '~')) => {
            outward.nth(1).is_some_and(is_inner)
        }
        _ => false,
    }
}

fn is_inner(cell: &Cell) -> bool {
    matches!(cell.kind, Kind::Letter | Kind::Digit)
}

/// Whether a neighbour is a letter of another script, which no reader takes for a part of the word.
fn parts(neighbour: &Cell, edge: &Cell) -> bool {
    !neighbour.main.is_ascii()
        && (neighbour.script == Script::Unspaced
            || neighbour.alts[0] == 0 && edge.main.is_ascii() && neighbour.script != edge.script)
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

/// The whole word in which the path stands, in small letters; beside the path, what may be several letters is read as
/// its `twin`th one.
fn word_around(cells: &[Cell], path: &[Step], twin: usize) -> String {
    let (mut first, mut last) = first_and_last(path);
    // a mark at the word's end is punctuation
    let in_word = |at: Option<usize>, farther: Option<usize>| {
        let get = |at: Option<usize>| at.and_then(|at| cells.get(at));
        get(at).is_some_and(|cell| is_inner(cell) || cell.alts[0] != 0 && get(farther).is_some_and(is_inner))
    };
    let (left, right) = (first.saturating_sub(WORD_REACH), last + WORD_REACH);
    while first > left && in_word(first.checked_sub(1), first.checked_sub(2)) {
        first -= 1;
    }
    while last < right && in_word(Some(last + 1), Some(last + 2)) {
        last += 1;
    }
    let read = |cell: &Cell| match cell.alts[twin] {
        0 if cell.alts[0] != 0 && cell.kind != Kind::Letter => char::from(cell.alts[0]),
        alt if alt != 0 && cell.kind != Kind::Letter => char::from(alt),
        _ => cell.main,
    };
    let run = |cell: &Cell| cell.run.min(8) as usize;
    let mut word = String::new();
    let mut at = first;
    while at <= last {
        let Some(cell) = cells.get(at) else { break };
        match path.iter().find(|step| step.cell == at) {
            Some(step) => {
                word.extend(std::iter::repeat_n(step.letter, run(cell)));
                at += step.cells;
            }
            None => {
                word.extend(std::iter::repeat_n(read(cell), run(cell)).filter(|c| *c != ' '));
                at += 1;
            }
        }
    }
    word
}

fn squeezed(word: &str) -> String {
    let mut last = None;
    word.chars().filter(|c| last.replace(*c) != Some(*c)).collect()
}

/// Whether the path is that word.
pub(crate) fn holds(skeleton: &Skeleton, word: &Word, path: &[Step]) -> bool {
    let cells = &skeleton.cells;
    let (first, last) = first_and_last(path);
    borders_hold(cells, word, path, first, last)
        && letters_hold(word, path, cells)
        && script_holds(skeleton, word, path)
        && repeats_hold(cells, word, path)
        && gaps_hold(cells, word, path)
}

fn borders_hold(cells: &[Cell], word: &Word, path: &[Step], first: usize, last: usize) -> bool {
    // digits beside a short word make a number, a name or another word of it: `A55`, `ass1`, `HELL0`
    let digit = |at: Option<usize>| at.and_then(|at| cells.get(at)).is_some_and(|cell| cell.kind == Kind::Digit);
    let one = |at: Option<usize>, next: Option<usize>| {
        let single = at.and_then(|at| cells.get(at)).is_some_and(|cell| cell.run == 1 && cell.alts[0] != 0);
        digit(at) && (word.letters.len() < 4 || single && !digit(next))
    };
    let short = word.letters.len() < 5
        && (one(first.checked_sub(1), first.checked_sub(2)) || one(Some(last + 1), Some(last + 2)));
    match word.mode {
        Mode::Anywhere => inside_holds(cells, path, first, last),
        Mode::Whole => !short && starts_word(cells, first) && ends_word(cells, last),
        Mode::Prefix => !short && starts_word(cells, first),
    }
}

/// Whether a word within another one is more than an accident of writing.
fn inside_holds(cells: &[Cell], path: &[Step], first: usize, last: usize) -> bool {
    // `$expr`
    let marked = path.first().is_some_and(|step| step.how == How::Mark);
    if marked && starts_word(cells, first) && !ends_word(cells, last) {
        return false;
    }
    // `accessExpired`
    let humps = path.iter().skip(1).filter(|step| cells[step.cell].upper).count();
    let small = |step: Option<&Step>| step.is_some_and(|step| !cells[step.cell].upper);
    let hump = humps == 1 && small(path.first()) && small(path.last());
    !(hump && (!starts_word(cells, first) || !ends_word(cells, last)))
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
    // `a$$`, `@$$`
    let marked = len == 3 && plain + used(How::Mark) == len;
    if plain + twins < 2 && !marked
        || wild > 0 && (len < 4 || wild > 2 || plain < 2 || plain + 1 < wild * 2 + digits + marks)
    {
        return false;
    }
    let (start, end) = (path.first(), path.last());
    let at_edge = |how: How| start.is_some_and(|s| s.how == how) || end.is_some_and(|s| s.how == how);
    // a mark or digit at the edge is mostly punctuation, an amount, a number
    if at_edge(How::Wild) || len < 4 && at_edge(How::Digit) && digits + marks > 1 {
        return false;
    }
    // a dash or dot stands for a letter only when nothing else is missing
    let dash = |step: &Step| step.how == How::Wild && matches!(cells[step.cell].main, '_' | '-' | '.' | '?' | '%');
    !path.iter().any(dash) || len >= 5 && plain + 1 >= len
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
    let mut excess = 0;
    let mut longest = 0;
    for (i, step) in path.iter().enumerate() {
        let run = cells[step.cell].run;
        let again = path[i + 1..].iter().take_while(|next| next.how == How::Again).count() as u32;
        let digraph = step.how == How::Twin && step.letter == 'w';
        if matches!(step.how, How::Wild | How::Again) || digraph || run + again <= step.used {
            continue;
        }
        excess += run + again - step.used;
        longest = longest.max(run + again);
    }
    // one letter too many makes another word of a short one
    excess == 0 || word.letters.len() >= 4 || word.letters.len() == 3 && (longest >= 3 || excess >= 2)
}

fn gaps_hold(cells: &[Cell], word: &Word, path: &[Step]) -> bool {
    // `it is free. Nitro boosts ...`
    let ends_sentence = |gap: &[Cell]| {
        let ends = gap.first().is_some_and(|cell| matches!(cell.main, '.' | '!' | '?' | ';'));
        ends && gap.last().is_some_and(|cell| cell.kind == Kind::Space)
    };
    if gaps(path).any(|(gap, phrase)| phrase && ends_sentence(&cells[gap])) {
        return false;
    }
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
    if gaps.iter().any(|gap| gap.iter().any(|cell| matches!(cell.main, '\'' | '’' | '`') || cell.alts[0] != 0)) {
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
    let (Some((gap, _)), Some((last_gap, _))) = (gaps(path).next(), gaps(path).last()) else { return true };
    let (gap, last_gap) = (&cells[gap], &cells[last_gap]);
    // what is short, and mostly or unevenly marks, is code
    let like = |other: &[Cell]| other.len() == gap.len() && other.iter().zip(gap).all(|(a, b)| a.main == b.main);
    let even = || gaps(path).all(|(other, _)| like(&cells[other]));
    let marks = path.iter().filter(|step| step.how == How::Mark).count();
    if marks * 2 > word.letters.len() || word.letters.len() < 4 && !even() {
        return false;
    }
    let spaces = gap.iter().all(|cell| cell.kind == Kind::Space);
    // a single letter on this side, as far away as the others are from each other
    let neighbour = |outward: &mut dyn Iterator<Item = &Cell>, like: &mut dyn Iterator<Item = &Cell>| {
        let mut next = outward.next();
        for cell in like {
            next.filter(|next| next.main == cell.main && next.run == cell.run)?;
            next = outward.next();
        }
        let single = next.filter(|cell| is_inner(cell));
        single.filter(|_| outward.next().is_none_or(Cell::separates)).map(|cell| cell.main)
    };
    let before = neighbour(&mut cells[..first].iter().rev(), &mut gap.iter().rev());
    let after = neighbour(&mut cells[last + 1..].iter(), &mut last_gap.iter());
    // words of one letter
    let harmless = |c: Option<char>| c.is_none() || spaces && matches!(c, Some('a' | 'i' | 'u'));
    harmless(before) && (word.mode == Mode::Prefix || harmless(after))
}

/// Whether nothing but punctuation joins it to other letters: `sp.am`, not `as.sass.in`.
fn stands_alone(cells: &[Cell], first: usize, last: usize) -> bool {
    let prose = |cell: Option<&Cell>| cell.is_none_or(|cell| cell.kind == Kind::Space);
    prose(cells[..first].iter().rev().take(WORD_REACH).find(|cell| cell.kind != Kind::Mark))
        && prose(cells[last + 1..].iter().take(WORD_REACH).find(|cell| cell.kind != Kind::Mark))
}
