//! What one character stands for: the letter it is or imitates, a digit, a mark, a space, or nothing that is seen.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The kinds of character that matching tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Letter,
    Digit,
    /// Punctuation, symbols, emoji.
    Mark,
    Space,
    /// Not seen: format characters, variation selectors, combining marks, controls.
    Hidden,
}

/// Writing systems, as far as look-alikes and word borders need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Latin,
    Greek,
    Cyrillic,
    /// Written without spaces between words, like Han, Kana and Thai.
    Unspaced,
    Other,
}

/// What a character stands for.
#[derive(Clone, Copy, Debug)]
pub struct Glyph {
    /// The letters it stands for, in lower case and without accents; a mark or space itself. Only the first `len` count.
    pub mains: [char; 3],
    pub len: u8,
    /// ASCII letters that it may stand for as well, 0 for none.
    pub alts: [u8; 2],
    pub kind: Kind,
    pub script: Script,
}

impl Glyph {
    fn new(main: char, kind: Kind, script: Script) -> Self {
        Self { mains: [main, '\0', '\0'], len: 1, alts: [0; 2], kind, script }
    }

    fn or(mut self, alts: &[u8]) -> Self {
        for (slot, alt) in self.alts.iter_mut().zip(alts) {
            *slot = *alt;
        }
        self
    }

    /// What `c` stands for.
    pub fn of(c: char) -> Self {
        if c.is_ascii() { ascii(c) } else { beyond_ascii(c) }
    }
}

fn ascii(c: char) -> Glyph {
    match c {
        'I' => Glyph::new('i', Kind::Letter, Script::Latin).or(b"l"),
        'l' => Glyph::new('l', Kind::Letter, Script::Latin).or(b"i"),
        'a'..='z' => Glyph::new(c, Kind::Letter, Script::Latin),
        'A'..='Z' => Glyph::new(c.to_ascii_lowercase(), Kind::Letter, Script::Latin),
        '0'..='9' => Glyph::new(c, Kind::Digit, Script::Latin).or(digit_alts(c)),
        ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => Glyph::new(' ', Kind::Space, Script::Latin),
        '\x00'..='\x1f' | '\x7f' => Glyph::new(c, Kind::Hidden, Script::Latin),
        _ => Glyph::new(c, Kind::Mark, Script::Latin).or(mark_alts(c)),
    }
}

/// The letters that a digit is written for.
fn digit_alts(c: char) -> &'static [u8] {
    match c {
        '0' => b"o",
        '1' => b"il",
        '2' => b"z",
        '3' => b"e",
        '4' => b"a",
        '5' => b"s",
        '6' => b"gb",
        '7' => b"t",
        '8' => b"b",
        '9' => b"g",
        _ => b"",
    }
}

/// The letters that a mark is written for.
fn mark_alts(c: char) -> &'static [u8] {
    match c {
        '!' | '|' | '¡' | '¦' => b"il",
        '@' | '^' => b"a",
        '$' | '§' => b"s",
        '+' | '†' => b"t",
        '(' | '<' | '[' | '{' | '¢' | '©' => b"c",
        '€' => b"e",
        '£' => b"le",
        '¥' => b"y",
        '#' => b"h",
        '×' => b"x",
        '®' => b"r",
        '°' => b"o",
        _ => b"",
    }
}

fn beyond_ascii(c: char) -> Glyph {
    let script = script(c);
    if is_hidden(c) {
        return Glyph::new(c, Kind::Hidden, script);
    }
    if c.is_whitespace() || matches!(c, '\u{2800}' | '\u{3164}' | '\u{115f}' | '\u{1160}' | '\u{ffa0}') {
        return Glyph::new(' ', Kind::Space, script);
    }
    if matches!(c, '™' | '℠' | 'ª' | 'º') {
        return Glyph::new(c, Kind::Mark, script);
    }
    if !mark_alts(c).is_empty() {
        return Glyph::new(c, Kind::Mark, script).or(mark_alts(c));
    }
    let lower = c.to_lowercase().next().unwrap_or(c);
    if let Some(glyph) = look_alike(lower, script) {
        return glyph;
    }
    if let Some(letter) = enclosed(c) {
        return Glyph { script: Script::Latin, ..ascii(letter) };
    }
    if script != Script::Unspaced
        && let Some(glyph) = decomposed(c, script)
    {
        return glyph;
    }
    if !lower.is_alphanumeric() {
        return Glyph::new(c, Kind::Mark, script);
    }
    if script != Script::Unspaced
        && let Some(glyph) = confusable(c, script).or_else(|| confusable(capital(c), script))
    {
        return glyph;
    }
    Glyph::new(lower, Kind::Letter, script)
}

/// Characters that are not seen, nor take room.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || is_combining_mark(c)
}

fn script(c: char) -> Script {
    match u32::from(c) {
        ..=0x2ff | 0x1d00..=0x1dbf | 0x1e00..=0x1eff | 0x2070..=0x214f | 0x2460..=0x24ff | 0x2c60..=0x2c7f => {
            Script::Latin
        }
        0xa720..=0xa7ff | 0xab30..=0xab6f | 0xfb00..=0xfb06 | 0xff01..=0xff5e | 0x1d400..=0x1d7ff => Script::Latin,
        0x1f100..=0x1f1ff => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f | 0x1c80..=0x1c8f | 0xa640..=0xa69f => Script::Cyrillic,
        0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x2e80..=0x9fff | 0xac00..=0xd7a3 => Script::Unspaced,
        0xf900..=0xfaff | 0x20000..=0x3ffff => Script::Unspaced,
        _ => Script::Other,
    }
}

/// Letters that imitate Latin ones by their shape, and Latin ones that do not decompose. A letter that is mostly
/// itself keeps its own main and has the imitated letters as alternatives.
fn look_alike(lower: char, script: Script) -> Option<Glyph> {
    let letter = |main: char| Some(Glyph::new(main, Kind::Letter, script));
    let native = |alts: &[u8]| Some(Glyph::new(lower, Kind::Letter, script).or(alts));
    let pair = |a: char, b: char| Some(Glyph { mains: [a, b, '\0'], len: 2, ..Glyph::new(a, Kind::Letter, script) });
    match lower {
        // Cyrillic that reads as Latin in either case
        'а' | 'ӑ' | 'ӓ' => letter('a'),
        'в' => letter('b'),
        'с' | 'ҫ' => letter('c'),
        'ԁ' => letter('d'),
        'е' | 'ё' | 'ѐ' | 'ҽ' | 'є' | 'э' => letter('e'),
        'һ' | 'ћ' => letter('h'),
        'і' | 'ї' | 'ӏ' => Some(Glyph::new('i', Kind::Letter, script).or(b"l")),
        'ј' => letter('j'),
        'к' | 'қ' | 'ҝ' => letter('k'),
        'м' => letter('m'),
        'о' | 'ө' | 'ӧ' => letter('o'),
        'р' | 'ҏ' => letter('p'),
        'ԛ' => letter('q'),
        'ѕ' => letter('s'),
        'т' | 'ҭ' => letter('t'),
        'у' | 'ү' | 'ұ' | 'ў' => letter('y'),
        'ѵ' => letter('v'),
        'ԝ' | 'ѡ' => letter('w'),
        'х' | 'ҳ' => letter('x'),
        // Cyrillic that only a disguise reads as Latin
        'н' | 'ң' | 'ҥ' => native(b"hn"),
        'и' | 'й' => native(b"nu"),
        'я' => native(b"r"),
        'п' | 'л' => native(b"n"),
        'ц' | 'џ' => native(b"u"),
        'ш' | 'щ' => native(b"w"),
        'ь' | 'ъ' | 'б' => native(b"b"),
        'г' | 'ѓ' => native(b"r"),
        'з' | 'ѝ' => native(b"e"),
        'д' => native(b"ad"),
        'ф' => native(b"o"),
        'ч' => native(b"y"),
        // Greek
        'α' | 'ά' => letter('a'),
        'β' | 'ϐ' => letter('b'),
        'ϲ' => letter('c'),
        'ε' | 'έ' | 'ϵ' => letter('e'),
        'ι' | 'ί' | 'ϊ' => Some(Glyph::new('i', Kind::Letter, script).or(b"l")),
        'ϳ' => letter('j'),
        'κ' | 'ϰ' => letter('k'),
        'ο' | 'ό' => letter('o'),
        'ρ' => letter('p'),
        'τ' => letter('t'),
        'χ' => letter('x'),
        'ζ' => letter('z'),
        'γ' => native(b"y"),
        'η' | 'ή' => native(b"nh"),
        'ν' => native(b"vn"),
        'μ' | 'µ' => native(b"mu"),
        'υ' | 'ύ' | 'ϋ' => native(b"uy"),
        'σ' => native(b"so"),
        'ς' => native(b"sc"),
        'ω' | 'ώ' => native(b"w"),
        'λ' => native(b"a"),
        'δ' => native(b"da"),
        'θ' | 'φ' => native(b"o"),
        'π' => native(b"n"),
        'ξ' => native(b"e"),
        // Latin that does not decompose
        'ø' | 'ⱺ' | 'ɵ' | 'ᴏ' => letter('o'),
        'đ' | 'ᗪ' | 'ð' | 'ɖ' | 'ɗ' | 'ᴅ' => letter('d'),
        'ł' | 'ⱡ' | 'ꝇ' | 'ɮ' | 'ᒪ' | 'ɫ' | 'ƚ' | 'ʟ' | 'ɭ' | 'ɬ' => letter('l'),
        'ħ' | 'ᕼ' | 'ⱨ' | 'ɦ' | 'ʜ' | 'ɥ' => letter('h'),
        'ŧ' | 'ⱦ' | 'ƭ' | 'ʈ' | 'ᴛ' | 'ʇ' => letter('t'),
        'ı' | 'ɪ' | 'ɨ' | 'ᴉ' => Some(Glyph::new('i', Kind::Letter, script).or(b"l")),
        'ŋ' | 'ᑎ' | 'ɲ' | 'ɳ' | 'ɴ' | 'ƞ' => letter('n'),
        'ƒ' | 'ᖴ' | 'ꜰ' | 'ɟ' => letter('f'),
        'ƀ' | 'ᗷ' | 'ɓ' | 'ʙ' | 'ƅ' => letter('b'),
        'ƈ' | 'ȼ' | 'ꞓ' | 'ᑕ' | 'ɕ' | 'ᴄ' | 'ɔ' => letter('c'),
        'ɛ' | 'ᗴ' | 'ə' | 'ɘ' | 'ᴇ' | 'ǝ' | 'ɇ' => letter('e'),
        'ɡ' | 'ʛ' | 'ɢ' | 'ǥ' | 'ɠ' | 'ƃ' => letter('g'),
        'ɑ' | 'ᗩ' | 'ɐ' | 'ᴀ' | 'ⱥ' => letter('a'),
        'ᴊ' | 'ʝ' | 'ᒍ' | 'ɉ' | 'ɾ' => letter('j'),
        'ƙ' | 'ⱪ' | 'ꝁ' | 'ᴋ' | 'ʞ' => letter('k'),
        'ɱ' | 'ᗰ' | 'ᴍ' | 'ɯ' => letter('m'),
        'ƥ' | 'ꝑ' | 'ᑭ' | 'ᴘ' | 'þ' | 'ƿ' => letter('p'),
        'ɋ' | 'ᑫ' | 'ʠ' => letter('q'),
        'ʀ' | 'ᖇ' | 'ɍ' | 'ɽ' | 'ɹ' | 'ʁ' => letter('r'),
        'ꜱ' | 'ᔕ' | 'ʂ' | 'ȿ' | 'ſ' | 'ƽ' => letter('s'),
        'ʉ' | 'ᑌ' | 'ᴜ' | 'ʊ' => letter('u'),
        'ᴠ' | 'ᐯ' | 'ʋ' | 'ʌ' => letter('v'),
        'ᴡ' | 'ᗯ' | 'ⱳ' | 'ʍ' => letter('w'),
        'ʏ' | 'ƴ' | 'ɏ' | 'ʎ' => letter('y'),
        'ᴢ' | 'ⱬ' | 'ᘔ' | 'ƶ' | 'ʐ' | 'ʑ' | 'ʒ' => letter('z'),
        'ǫ' => letter('q'),
        'æ' => pair('a', 'e'),
        'œ' => pair('o', 'e'),
        'ß' => Some(Glyph { alts: [b'b', 0], ..pair('s', 's')? }),
        _ => None,
    }
}

/// Letters in black circles and squares, and those of flags: compatibility decomposition does not know them.
fn enclosed(c: char) -> Option<char> {
    let n = match u32::from(c) {
        n @ 0x1f150..=0x1f169 => n - 0x1f150,
        n @ 0x1f170..=0x1f189 => n - 0x1f170,
        n @ 0x1f1e6..=0x1f1ff => n - 0x1f1e6,
        _ => return None,
    };
    char::from_u32(u32::from('a') + n)
}

/// The base letters of an accented, styled or joined character; `None` when it is none.
fn decomposed(c: char, script: Script) -> Option<Glyph> {
    let mut bases = ['\0'; 3];
    let mut len = 0;
    decompose_compatible(c, |part| {
        if part != c && part.is_alphanumeric() && !is_combining_mark(part) && len < bases.len() {
            bases[len] = part;
            len += 1;
        }
    });
    // fullwidth marks and the like
    if len == 0 {
        let mut mark = None;
        decompose_compatible(c, |part| mark = (part.is_ascii_punctuation()).then_some(part));
        return mark.map(ascii);
    }
    let first = if bases[0].is_ascii() {
        ascii(bases[0])
    } else {
        let lower = bases[0].to_lowercase().next()?;
        look_alike(lower, script).unwrap_or(Glyph::new(lower, Kind::Letter, script))
    };
    let mut glyph = Glyph { script, ..first };
    if len > 1 {
        glyph = Glyph { mains: bases.map(|b| b.to_lowercase().next().unwrap_or(b)), len: len as u8, ..glyph };
    }
    Some(glyph)
}

fn capital(c: char) -> char {
    c.to_uppercase().next().unwrap_or(c)
}

/// The Latin letter or digit that a character is confused with, as Unicode's table of confusables says.
fn confusable(c: char, script: Script) -> Option<Glyph> {
    let mut text = [0; 4];
    let mut shape = unicode_security::skeleton(c.encode_utf8(&mut text)).filter(|s| !is_combining_mark(*s));
    let (first, second) = (shape.next()?, shape.next());
    let main = match (first, second) {
        ('r', Some('n')) => 'm',
        (first, None) if first.is_ascii_alphanumeric() => first,
        _ => return None,
    };
    let alts: &[u8] = if main == 'l' { b"i" } else { b"" };
    Some(Glyph { script, kind: Kind::Letter, ..ascii(main) }.or(alts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, letters: &str) {
        let got: String = text
            .chars()
            .map(Glyph::of)
            .filter(|g| g.kind != Kind::Hidden)
            .flat_map(|g| g.mains.into_iter().take(g.len.into()))
            .collect();
        assert_eq!(got, letters, "{text}");
    }

    #[test]
    fn shapes_read_as_the_letters_they_imitate() {
        reads("SpAm", "spam");
        reads("Crème Brûlée Łódź smørrebrød", "creme brulee lodz smorrebrod");
        reads("ѕсаm МОСКТ αβε", "scam mockt abe");
        reads("ｓｐａｍ 𝓼𝓹𝓪𝓶 ⓢⓟⓐⓜ 🅂🄿🄰🄼 🆂🅿🅰🅼 🇸🇵🇦🇲 ѕᴘᴀᴍ", "spam spam spam spam spam spam spam");
        reads("ﬁ æ ß Ǽ", "fi ae ss ae");
        reads("s\u{200b}p\u{ad}a\u{fe0f}m\u{301}", "spam");
        reads("漢字 ไทย 한국", "漢字 ไทย 한국");
    }

    #[test]
    fn every_character_stands_for_something() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let glyph = Glyph::of(c);
            assert!((1..=3).contains(&glyph.len), "{c:?}");
        }
    }
}
