#!/usr/bin/env python3
"""Writes generated.tsv: sentences with disguised words, and the same disguises on innocent look-alikes.

Deterministic. It knows nothing of the engine's tables: look-alike characters come from the Unicode names that Python
has and from a list of its own."""
import random
import unicodedata

BAD = "idiot moron loser scam spam casino viagra darn stupid jerk creep damn crap".split()
PHRASES = ["free nitro", "crypto giveaway", "double your bitcoin"]
# close to a word above, or around one
LIKE = """idiom idiotproofing moraine moroccan lower closer scan scar scamper spasm spa spar spammable casing cassino
viaduct niagara darning barn dart student stupor jerky jersey creepers crepe dampen damsel scrap scrape class classic
assassin assess passage cocktail essex sussex middlesex sextant shell hello michelle grass massive bypass compass
document accumulate analysis title constitution button butter night snigger parse arsenal shore therapist grape
raccoon japan suckle album cockpit peacock dickens""".split()
FRAMES = """what a {w} you are
honestly {w} is all I can say
did you see that {w} in the other channel?
{w}
I read about the {w} this morning, quite long
nobody wants {w} here, thanks
he said {w} three times in a row
this {w} again...
my brother calls it {w}, go figure
so much {w} today
please, no {w}!
oh {w}, I forgot the keys
the word of the day is {w}
{w}? really?
@sam look at this {w} :)
I think "{w}" was the answer
you absolute {w}, come back
(well, {w})
ok but {w} was not what I asked for
is it {w} or not
more {w} than ever before in 2024
we had {w} for lunch, 10/10
hey everyone, {w} time
can a mod please look at the {w} above
it was just {w}, nothing else
stop with the {w} now
first {w}, then silence
LOL {w}
a {w} by any other name
12:30 and still {w}""".split("\n")

SHAPES = {c: [] for c in "abcdefghijklmnopqrstuvwxyz"}
ACCENTED = {c: [] for c in SHAPES}
for n in range(0xA0, 0x1F200):
    char = chr(n)
    name = unicodedata.name(char, "")
    last = name.rsplit(" ", 1)[-1].lower()
    if last in SHAPES and len(last) == 1 and name.startswith(
        ("MATHEMATICAL", "FULLWIDTH LATIN", "CIRCLED LATIN", "PARENTHESIZED LATIN", "SQUARED LATIN", "NEGATIVE",
         "LATIN LETTER SMALL CAPITAL", "SUPERSCRIPT LATIN", "MODIFIER LETTER SMALL")):
        if "TURNED" not in name and "REVERSED" not in name:
            SHAPES[last].append(char)
    base = unicodedata.normalize("NFD", char)
    if len(base) > 1 and base[0].lower() in ACCENTED and n < 0x1F00:
        ACCENTED[base[0].lower()].append(char)
FOREIGN = {
    "a": "аɑα", "b": "ЬƄВ", "c": "сϲⅽ", "d": "ԁⅾ", "e": "еεҽ", "g": "ɡց", "h": "һհ", "i": "іıι", "j": "јϳ", "k": "кκ",
    "l": "ӏⅼℓ", "m": "мⅿ", "n": "ոո", "o": "оοօ", "p": "рρ", "r": "гᴦ", "s": "ѕꜱ", "t": "тτ", "u": "υս", "v": "νѵ",
    "x": "хχ", "y": "уү",
}
LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "g": "9", "b": "8", "l": "1|"}
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u200f", "\u034f", "\ufe0f", "\u180e",
             "\u2063", "\u061c"]


def some(rng, word, table, share):
    """At least one letter changed where that can be."""
    at = [i for i, c in enumerate(word) if table.get(c)]
    chosen = {i for i in at if rng.random() < share} or set(at[:1])
    return "".join(rng.choice(table[c]) if i in chosen else c for i, c in enumerate(word))


def case(rng, word):
    return "".join(rng.choice((c, c.upper())) for c in word) if rng.random() < 0.8 else word.upper()


def accents(rng, word):
    if rng.random() < 0.3:
        return "".join(c + "".join(rng.choice("\u0300\u0301\u0302\u0308\u030c\u0323\u0336\u0489") for _ in
                                   range(rng.randint(1, 3))) if c != " " else c for c in word)
    return some(rng, word, ACCENTED, 0.5)


def homoglyphs(rng, word):
    pick = rng.random()
    if pick < 0.45:
        return some(rng, word, FOREIGN, 0.6)
    if pick < 0.8:
        return some(rng, word, SHAPES, 0.7)
    style = rng.choice(["MATHEMATICAL BOLD SMALL %s", "FULLWIDTH LATIN SMALL LETTER %s", "CIRCLED LATIN SMALL LETTER %s",
                        "MATHEMATICAL SANS-SERIF ITALIC SMALL %s", "NEGATIVE SQUARED LATIN CAPITAL LETTER %s",
                        "MATHEMATICAL DOUBLE-STRUCK SMALL %s", "SQUARED LATIN CAPITAL LETTER %s"])
    return "".join(c if c not in SHAPES else unicodedata.lookup(style % c.upper()) for c in word)


def leetspeak(rng, word):
    return some(rng, word, LEET, 0.55)


def zero_width(rng, word):
    cuts = [i for i in range(1, len(word)) if rng.random() < 0.5] or [len(word) // 2]
    return "".join((rng.choice(INVISIBLE) * rng.randint(1, 2) if i in cuts else "") + c for i, c in enumerate(word))


def spacing(rng, word):
    word = word.replace(" ", "")
    if rng.random() < 0.75:
        return rng.choice([" ", ".", "-", "_", "*", " . ", "..", "~", "·", "🔥", "/", "  ", "|"]).join(word)
    cut = rng.randint(1, len(word) - 1)
    return word[:cut] + rng.choice([".", "-", "_", "*", "~"]) + word[cut:]


def repeated(rng, word):
    at = set(rng.sample(range(len(word)), rng.randint(1, min(3, len(word)))))
    return "".join(c * rng.randint(2, 6) if i in at and c != " " else c for i, c in enumerate(word))


KINDS = {"case": case, "accents": accents, "homoglyphs": homoglyphs, "leetspeak": leetspeak, "zero-width": zero_width,
         "spacing": spacing, "repeats": repeated}
HOSTS = ["discord.gg/{x}", "discord.com/invite/{x}", "t.me/{x}", "telegram.me/{x}", "chat.whatsapp.com/{x}",
         "wa.me/491700{n}", "dsc.gg/{x}", "bit.ly/{x}", "evil.example/{x}"]
FINE = ["github.com/{x}/{x}", "en.wikipedia.org/wiki/{x}", "docs.rs/{x}", "example.com/{x}?t={n}", "discord.com/terms",
        "youtube.com/watch?v={x}", "whatsapp.com/legal", "telegram.org/faq", "crates.io/crates/{x}", "discordapp.net/{x}",
        "notdiscord.ggx.org/{x}", "t.mex.dev/{x}", "bit.lysander.net/{x}", "wa.men.org/{n}"]


def link(rng, hosts):
    letters = "abcdefghkmnpqrstuvwxyzABCDEFGH23456789"
    name = "".join(rng.choice(letters) for _ in range(rng.randint(5, 9)))
    url = rng.choice(hosts).format(x=name, n=rng.randint(1000, 9999))
    pick = rng.random()
    if pick < 0.2:
        return "https://" + url
    if pick < 0.3:
        return "http://www." + url
    if pick < 0.5:
        host, _, path = url.partition("/")
        dot = rng.choice(["(.)", "[.]", " . ", " dot ", "(dot)", "[dot]", " (dot) ", "。", "．"])
        return host.replace(".", dot) + "/" + path
    if pick < 0.6:
        return url.partition("/")[0].upper() + "/" + url.partition("/")[2]
    if pick < 0.7:
        host, _, path = url.partition("/")
        return host[:2] + rng.choice(INVISIBLE[:5]) + host[2:] + "/" + path
    return url


def main():
    rng = random.Random(20240611)
    rows = []
    for kind, disguise in KINDS.items():
        seen = set()
        while sum(1 for row in rows if row[1] == kind) < 170:
            count = sum(1 for row in rows if row[1] == kind)
            bad = count % 2 == 0
            word = rng.choice(BAD * 4 + PHRASES) if bad else rng.choice(LIKE)
            if kind == "spacing" and not bad and rng.random() < 0.5:
                word = rng.choice(["as sass in", "this hit", "push it", "his cam is", "plus pam", "id iom", "her ex is",
                                   "us exam", "miss cam", "more on", "he'll", "la mer", "it's cam time", "classes cam"])
                text = rng.choice(FRAMES).format(w=word)
            else:
                text = rng.choice(FRAMES).format(w=disguise(rng, word))
            if text not in seen:
                seen.add(text)
                rows.append(("bad" if bad else "ok", kind, "tuned", text))
    for n in range(170):
        bad = n % 2 == 0
        rows.append(("bad" if bad else "ok", "links", "tuned", rng.choice(FRAMES).format(w=link(rng, HOSTS if bad else FINE))))
    names = list(KINDS)
    for n in range(170):
        bad = n % 2 == 0
        word = rng.choice(BAD if bad else LIKE)
        first, second = rng.sample(names, 2)
        # a later disguise works on letters that an earlier one left
        order = sorted((first, second), key=lambda k: ["repeats", "leetspeak", "case", "homoglyphs", "accents", "zero-width", "spacing"].index(k))
        for kind in order:
            word = KINDS[kind](rng, word)
        rows.append(("bad" if bad else "ok", "combined", "tuned", rng.choice(FRAMES).format(w=word)))
    with open(__file__.replace("generate.py", "generated.tsv"), "w", encoding="utf-8") as out:
        out.write("label\tkind\tset\ttext\n")
        for *columns, text in rows:
            shown = "".join(c if unicodedata.category(c) not in ("Cf", "Mn", "Me", "Cc") else "\\u{%x}" % ord(c)
                            for c in text.replace("\\", "\\\\"))
            out.write("\t".join((*columns, shown)) + "\n")


main()
