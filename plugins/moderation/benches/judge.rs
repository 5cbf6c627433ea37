//! What judging a chat message costs: prints microseconds for each message.
//!
//! `cargo bench -p moderation`

use std::{hint::black_box, time::Instant};

use moderation::{Config, Engine, Message};

const ROUNDS: usize = 4000;

/// Ordinary messages of about 60 characters.
const PLAIN: &[&str] = &[
    "has anybody seen the new release notes? looks pretty good :)",
    "I'll be there at 10:30, could you bring the charger please?",
    "the meeting moved to room 4, don't forget the slides today",
    "lol that was the best goal of the season, what a comeback!!",
    "ok so we need 3 more players for tonight, who is in? @sam",
    "je ne sais pas encore, on verra demain après le déjeuner là",
    "let x = items.iter().map(|i| i.len()).sum::<usize>(); ok?",
    "check https://example.com/docs/intro.html before you ask it",
];
/// The same length, in disguise.
const DISGUISED: &[&str] = &[
    "you are such an 1d10t and everybody here knows it very well",
    "this is a s.c.a.m and you know it, stop posting it in here!",
    "Jоin оur сhаt аt discord (dot) gg / abcdef for the free coins",
    "𝓯𝓻𝓮𝓮 𝓷𝓲𝓽𝓻𝓸 for everybody who joins this server in an hour, go",
];
/// Ordinary messages that are not in Latin letters.
const FOREIGN: &[&str] = &[
    "привет всем, кто сегодня играет вечером? нужен ещё один игрок",
    "明日の会議は十時からです。資料を忘れないでくださいね、よろしく",
    "καλημέρα σε όλους, τι κάνετε σήμερα; πάμε για καφέ αργότερα;",
];

fn config(words: usize) -> Config {
    // made-up words of 4 to 10 letters, spread over the alphabet as English is
    let mut seed = 7_u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let letters = b"eeeetttaaaooiinnsshhrrddllcumwfgypbvk";
    let mut word = || -> String {
        let len = 4 + next(7);
        (0..len).map(|_| char::from(letters[next(letters.len() as u64) as usize])).collect()
    };
    let list: Vec<String> = (0..words).map(|_| word()).chain(["idiot".into(), "scam".into()]).collect();
    let (whole, anywhere) = list.split_at(words / 10 * 9);
    serde_json::from_value(serde_json::json!({
        "words": [
            { "name": "whole", "words": whole, "action": "mask" },
            { "name": "anywhere", "words": anywhere, "mode": "anywhere", "action": "mask" },
            { "name": "phrases", "words": ["free nitro"], "action": "reject" },
        ],
        "links": { "block": ["evil.example"], "invites": true, "action": "reject" },
        "caps": { "ratio": 0.7, "min_letters": 12, "action": "hold" },
        "repeats": { "chars_max": 8, "words_max": 4, "action": "hold" },
        "mentions": { "max": 5, "action": "reject" },
    }))
    .expect("the config is one")
}

fn main() {
    for words in [100, 1000, 10_000] {
        let started = Instant::now();
        let engine = Engine::new(&config(words)).expect("the config is right");
        println!("{words} words: compiled in {} us", started.elapsed().as_micros());
        for (name, texts) in [("plain", PLAIN), ("disguised", DISGUISED), ("foreign", FOREIGN)] {
            let mut best = f64::MAX;
            for _ in 0..5 {
                let started = Instant::now();
                for _ in 0..ROUNDS / texts.len() {
                    for text in texts {
                        black_box(engine.judge(&Message { text: black_box(text), ..Message::default() }));
                    }
                }
                let messages = ROUNDS / texts.len() * texts.len();
                best = best.min(started.elapsed().as_secs_f64() * 1e6 / messages as f64);
            }
            println!("  {name:<10} {best:7.2} us/message");
        }
    }
    let engine = Engine::new(&config(1000)).expect("the config is right");
    for (name, text) in [("il1|!", "il1|!I".repeat(600)), ("stars", "s*a*".repeat(1000)), ("gaps", "a ".repeat(2000))] {
        let started = Instant::now();
        black_box(engine.judge(&Message { text: &text, ..Message::default() }));
        println!("  hostile {name}, {} bytes: {} us", text.len(), started.elapsed().as_micros());
    }
}
