//! What is found, what is not, and what a wrong config is told.

use proptest::prelude::*;

use super::*;

fn engine(json: &str) -> Result<Engine, ConfigError> {
    Engine::new(&serde_json::from_str(json).unwrap())
}

fn usual() -> Engine {
    engine(
        r#"{
            "words": [
                { "name": "insults", "words": ["idiot", "moron", "дурак", "año viejo"], "action": "mask" },
                { "name": "anywhere", "words": ["cunt", "penis", "ass", "cock", "sex"], "mode": "anywhere", "action": "reject" },
                { "name": "shit", "words": ["shit"], "action": "reject" },
                { "name": "giveaway", "words": ["free nitro"], "mode": "prefix", "action": { "mute": { "seconds": 60 } } }
            ],
            "allow": ["Idiot Wind"],
            "regexes": [{ "name": "phone", "pattern": "\\+\\d{10,}", "action": "hold" }],
            "links": { "block": ["evil.example/win"], "allow": ["t.me/hubbub"], "invites": true, "action": "shadow" },
            "caps": { "ratio": 0.7, "min_letters": 12, "action": "hold" },
            "repeats": { "chars_max": 8, "words_max": 4, "action": "hold" },
            "mentions": { "max": 3, "action": "reject" },
            "flood": { "window_seconds": 10, "messages_max": 5, "same_max": 2, "action": { "mute": { "seconds": 30 } } },
            "exempt_roles": ["admin"],
            "exempt_rooms": ["off-topic"]
        }"#,
    )
    .unwrap()
}

#[track_caller]
fn check(text: &str, rules: &[&str]) {
    let verdict = usual().judge(&Message { text, ..Message::default() });
    let found: Vec<&str> = verdict.findings.iter().map(|finding| &*finding.rule).collect();
    assert_eq!(found, rules, "{text}");
}

#[track_caller]
fn mask(text: &str, masked: &str) {
    let verdict = usual().judge(&Message { text, ..Message::default() });
    assert_eq!(verdict.mask(text).as_deref(), Some(masked), "{text}");
}

#[test]
fn look_alikes_are_innocent() {
    for text in [
        "Scunthorpe",
        "Penistone",
        "Essex",
        "the assassin in class had a cocktail",
        "as sass in",
        "this hit",
        "push it",
        "at 10:30 for $45.99 or 1,455",
        "https://example.com/ass/cock?sex=1",
        "let x = a[5] as usize;",
        "a55 road",
        "das ist nass und heiß",
        "привет дураком",
        "la sexta clase",
        "Push it, as said. S. Hit",
        "he'll push it",
    ] {
        check(text, &[]);
    }
}

#[test]
fn disguised_words_are_masked_where_they_stand() {
    mask("an 1d1ot!", "an *****!");
    mask("an i d i o t, yes", "an * * * * *, yes");
    mask("so 𝓶𝓸𝓻𝓸𝓷", "so *****");
    mask("mó\u{301}ron\u{200b} x", "***** x");
    mask("дypaк", "*****");
    check("Idiot Wind is a song", &[]);
    check("get FREE   n1tr0 now", &["giveaway"]);
}

#[test]
fn every_kind_of_rule_finds_its_kind() {
    check("call +491234567890", &["phone"]);
    check("see evil.example/win?x and evil.example", &["links"]);
    check("https://t.me/hubbub and t.me/other", &["links"]);
    check("STOP SHOUTING AT ME", &["caps"]);
    check("nooooooooooo", &["repeats"]);
    check("go go go go go", &["repeats"]);
    check("@a @b @c @d", &["mentions"]);
    check("mail a@b.example, c@d.example, e@f.example, g@h.example", &[]);
}

#[test]
fn counts_decide_about_floods() {
    let judge = |messages, same| {
        let counts = Counts { messages, same };
        let verdict = usual().judge(&Message { text: "hi", counts, ..Message::default() });
        verdict.decisive().map(|finding| finding.reason)
    };
    assert_eq!(judge(5, 2), None);
    assert_eq!(judge(6, 2), Some(Reason::Flood));
    assert_eq!(judge(6, 3), Some(Reason::SameAgain));
}

#[test]
fn who_is_exempt_may_say_anything() {
    let roles = ["admin".to_owned()];
    assert!(usual().judge(&Message { text: "idiot", roles: &roles, ..Message::default() }).findings.is_empty());
    let message = Message { text: "idiot", room: Some("off-topic"), ..Message::default() };
    assert!(usual().judge(&message).findings.is_empty());
}

#[test]
fn a_wrong_config_is_told_what_would_be_right() {
    let fault = |json: &str| engine(json).err().map_or(String::new(), |error| error.to_string());
    let words = |words: &str| fault(&format!(r#"{{"words":[{{"name":"w","words":{words},"action":"mask"}}]}}"#));
    assert_eq!(words("[]"), "words `w`: has no words: list at least one in `words`");
    assert_eq!(words(r#"["!"]"#), "words `w`: `!` is no word: it must have at least two letters or digits");
    assert_eq!(
        fault(r#"{"regexes":[{"name":"r","pattern":"(","action":"mask"}]}"#),
        "regexes `r`: `pattern` is no regular expression: unclosed group"
    );
    assert_eq!(
        fault(r#"{"regexes":[{"name":"r","pattern":"\\w{1000}{1000}","action":"mask"}]}"#),
        "regexes `r`: `pattern` compiles to more than 524288 bytes: use smaller repetitions"
    );
    assert_eq!(
        fault(r#"{"links":{"block":["nodot"],"action":"reject"}}"#),
        "`links.block`: `nodot` is no domain like `example.com` or `t.me/joinchat`"
    );
    assert_eq!(
        fault(r#"{"caps":{"ratio":7,"min_letters":5,"action":"hold"}}"#),
        "`caps.ratio`: 7 is not between 0 and 1, like 0.7"
    );
    assert_eq!(
        fault(r#"{"mentions":{"max":5,"action":{"mute":{"seconds":0}}}}"#),
        "`mentions`: `mute.seconds` must be at least 1"
    );
    assert!(serde_json::from_str::<Config>(r#"{"word":[]}"#).unwrap_err().to_string().contains("unknown field `word`"));
}

#[test]
fn texts_made_to_be_ambiguous_cost_little() {
    let engine = engine(
        r#"{"words":[{"name":"w","words":["illiilliillii","lilililil","i l i l i l","iiiiiiiiiiiiiiii"],"mode":"anywhere","action":"mask"}]}"#,
    )
    .unwrap();
    let started = std::time::Instant::now();
    for text in ["il1|!I".repeat(600), "i.".repeat(2000), "l l ".repeat(1000), "*".repeat(4000), "i*l*".repeat(1000)] {
        engine.judge(&Message { text: &text, ..Message::default() });
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn no_text_breaks_the_engine(text in "\\PC{0,60}|[\\x00-\\u{10ffff}]{0,40}|[il1|!.*@$ \\-\u{202e}\u{202c}\u{200b}a-z()/\\\\]{0,60}") {
        let engine = usual();
        let verdict = engine.judge(&Message { text: &text, ..Message::default() });
        for finding in &verdict.findings {
            prop_assert!(text.get(finding.span.clone()).is_some_and(|found| !found.is_empty()));
        }
        if let Some(masked) = verdict.mask(&text) {
            prop_assert!(masked.chars().count() <= text.chars().count());
        }
        flow::fingerprint(&text);
    }
}
