//! A text as its reader sees it: letters without disguise, each with its place in the original.

use crate::glyphs::{Glyph, Kind, Script};

/// One or more equal characters that stand behind each other.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The letter in lower case, without accents and in its Latin shape; a digit or a mark itself; `' '` for a space.
    pub main: char,
    /// ASCII letters that it may stand for as well, 0 for none.
    pub alts: [u8; 2],
    pub kind: Kind,
    pub script: Script,
    /// How many equal characters.
    pub run: u32,
    /// Whether the first of them is a capital letter.
    pub upper: bool,
    /// Bytes in the original, with what is not seen behind them.
    pub start: usize,
    pub end: usize,
}

impl Cell {
    /// Whether it may be read as this letter.
    pub fn may_be(&self, letter: char) -> bool {
        self.main == letter && self.kind != Kind::Mark || self.alts.iter().any(|alt| char::from(*alt) == letter)
    }

    /// Whether it is a mark or a space.
    pub fn separates(&self) -> bool {
        matches!(self.kind, Kind::Mark | Kind::Space)
    }
}

/// What a text looks like.
#[derive(Debug, Default)]
pub struct Skeleton {
    pub cells: Vec<Cell>,
    /// Scripts other than Latin in which the text has words that are no imitation of Latin ones.
    genuine: [bool; 5],
}

impl Skeleton {
    /// Reads a text. Characters that are not seen vanish; what a right-to-left override turns round is turned back.
    pub fn of(text: &str) -> Self {
        let mut cells: Vec<Cell> = Vec::with_capacity(text.len());
        // where a right-to-left override began
        let mut turned: Option<usize> = None;
        for (start, c) in text.char_indices() {
            let end = start + c.len_utf8();
            let glyph = Glyph::of(c);
            if glyph.kind == Kind::Hidden {
                match c {
                    '\u{202e}' => {
                        turn_back(&mut cells, turned);
                        turned = Some(cells.len());
                    }
                    '\u{202c}' | '\u{2069}' => turn_back(&mut cells, turned.take()),
                    _ if turned.is_none() => {
                        if let Some(last) = cells.last_mut() {
                            last.end = end;
                        }
                    }
                    _ => {}
                }
                continue;
            }
            if c == '\n' {
                turn_back(&mut cells, turned.take());
            }
            let (kind, script, alts) = (glyph.kind, glyph.script, glyph.alts);
            let upper = kind == Kind::Letter && c.is_uppercase();
            let first_of_turned = turned == Some(cells.len());
            for main in glyph.mains.into_iter().take(glyph.len.into()) {
                match cells.last_mut() {
                    Some(last)
                        if last.main == main
                            && last.kind == kind
                            && last.script == script
                            && last.alts == alts
                            && !first_of_turned =>
                    {
                        last.run = last.run.saturating_add(1);
                        last.end = end;
                        last.start = last.start.min(start);
                    }
                    _ => cells.push(Cell { main, alts, kind, script, run: 1, upper, start, end }),
                }
            }
        }
        turn_back(&mut cells, turned);
        let genuine = genuine(&cells);
        Self { cells, genuine }
    }

    /// Whether the text is, at least in part, really written in this script.
    pub fn is_written_in(&self, script: Script) -> bool {
        self.genuine[script as usize]
    }

    /// The letters and digits alone, with a single space between words: two texts of equal looks have equal ones.
    pub fn letters(&self) -> String {
        let mut letters = String::with_capacity(self.cells.len());
        let mut between = false;
        for cell in &self.cells {
            if cell.separates() {
                between = !letters.is_empty();
                continue;
            }
            if std::mem::take(&mut between) {
                letters.push(' ');
            }
            for _ in 0..cell.run.min(2) {
                letters.push(cell.main);
            }
        }
        letters
    }
}

fn turn_back(cells: &mut [Cell], from: Option<usize>) {
    if let Some(turned) = from.and_then(|from| cells.get_mut(from..)) {
        turned.reverse();
    }
}

/// A script is genuine when some word is all in it and has a letter that imitates no Latin one.
fn genuine(cells: &[Cell]) -> [bool; 5] {
    let mut found = [false; 5];
    for word in cells.split(|cell| cell.kind != Kind::Letter) {
        let Some(first) = word.first().filter(|first| first.script != Script::Latin) else { continue };
        if word.iter().all(|cell| cell.script == first.script) && word.iter().any(|cell| !cell.main.is_ascii()) {
            found[first.script as usize] = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, letters: &str) {
        assert_eq!(Skeleton::of(text).letters(), letters);
    }

    #[test]
    fn disguises_fall() {
        check("  Buy  NOW!!! ", "buy now");
        check("sooooo g\u{200b}o\u{301}od", "soo good");
        check("say \u{202e}maps\u{202c} now", "say spam now");
        check("\u{202e}maps", "spam");
        check("", "");
    }

    #[test]
    fn places_are_those_of_the_original() {
        let text = "é\u{301} 𝓼𝓹";
        let places: Vec<&str> = Skeleton::of(text).cells.iter().map(|cell| &text[cell.start..cell.end]).collect();
        assert_eq!(places, ["é\u{301}", " ", "𝓼", "𝓹"]);
    }

    #[test]
    fn a_script_is_genuine_when_a_word_needs_it() {
        assert!(Skeleton::of("привет").is_written_in(Script::Cyrillic));
        assert!(!Skeleton::of("ѕсам").is_written_in(Script::Cyrillic));
        assert!(!Skeleton::of("idiл").is_written_in(Script::Cyrillic));
    }
}
