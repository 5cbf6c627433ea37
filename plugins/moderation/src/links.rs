//! Links in a text, also in disguise, and which of them may be sent.

use std::{collections::HashMap, ops::Range};

use crate::{
    config::{ConfigError, LinkRule},
    glyphs::Kind,
    normalise::Skeleton,
    verdict::Reason,
};

/// Where invitations to other chats lead: domains, some only with a path.
const INVITES: &[&str] = &[
    "discord.gg",
    "discord.com/invite",
    "discordapp.com/invite",
    "dsc.gg",
    "discord.me",
    "invite.gg",
    "discord.io",
    "t.me",
    "telegram.me",
    "telegram.dog",
    "chat.whatsapp.com",
    "wa.me",
    "whatsapp.com/channel",
    "signal.group",
    "line.me/ti",
    "m.me",
    "join.skype.com",
    "guilded.gg",
    "matrix.to",
    "vk.me",
    "viber.com/invite",
    "slack.com/join",
    "join.slack.com",
    "teams.live.com/meet",
];

/// Top-level domains that make a link of a bare name like `example.com`. Others need a scheme or `www.`, or be listed.
const TOP_LEVELS: &[&str] = &[
    "com", "org", "net", "edu", "gov", "info", "biz", "io", "gg", "me", "tv", "cc", "co", "ly", "app", "dev", "xyz",
    "top", "online", "site", "shop", "store", "club", "live", "link", "click", "win", "vip", "icu", "buzz", "fun",
    "space", "website", "tech", "pro", "bet", "casino", "ru", "cn", "de", "fr", "uk", "eu", "nl", "pl", "it", "es",
    "us", "ca", "br", "in", "jp", "kr", "au", "ch", "at", "se", "no", "fi", "dk", "cz", "tk", "ml", "ga", "gl", "ai",
];
/// Those that are words or endings of names, too: alone, without path, they make no link.
const DOUBTFUL: &[&str] =
    &["ai", "at", "ca", "co", "de", "es", "fun", "in", "it", "live", "me", "no", "pro", "top", "us", "win"];

/// Words after which a dot or slash is written out.
const SPELLED: &[(&str, char)] = &[("dot", '.'), ("punkt", '.'), ("slash", '/')];

/// The rule, ready to judge.
#[derive(Debug)]
pub(crate) struct Links {
    /// What is said of a domain, by its name.
    domains: HashMap<String, Vec<Entry>>,
    /// The same by the folded look of its name: `d1scord.gg`.
    looks: HashMap<String, Vec<Entry>>,
    only_allowed: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    says: Says,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Allow,
    Block(Reason),
}

impl Links {
    pub(crate) fn new(rule: &LinkRule) -> Result<Self, ConfigError> {
        let mut links = Self { domains: HashMap::new(), looks: HashMap::new(), only_allowed: rule.only_allowed };
        for entry in &rule.allow {
            links.add("`links.allow`", entry, Says::Allow)?;
        }
        for entry in &rule.block {
            links.add("`links.block`", entry, Says::Block(Reason::Link))?;
        }
        for entry in INVITES.iter().filter(|_| rule.invites) {
            links.add("`links.invites`", entry, Says::Block(Reason::Invite))?;
        }
        Ok(links)
    }

    fn add(&mut self, key: &str, entry: &str, says: Says) -> Result<(), ConfigError> {
        let lower = entry.trim().to_lowercase();
        let bare = lower.split_once("://").map_or(&*lower, |(_, rest)| rest);
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let host = host.trim_start_matches("*.").trim_end_matches('.');
        if !host.contains('.') || !host.split('.').all(is_label) {
            return Err(ConfigError::new(key, format!("`{entry}` is no domain like `example.com` or `t.me/joinchat`")));
        }
        let entry = Entry { path: path.trim_end_matches('/').to_owned(), says };
        if says != Says::Allow && host.len() > 6 {
            self.looks.entry(look(host)).or_default().push(entry.clone());
        }
        self.domains.entry(host.to_owned()).or_default().push(entry);
        Ok(())
    }

    /// The links that may not be sent.
    pub(crate) fn find(&self, links: &[Link]) -> Vec<(Reason, Range<usize>)> {
        let judge = |link: &Link| Some((self.judge(link)?, link.span.clone()));
        links.iter().filter_map(judge).collect()
    }

    fn judge(&self, link: &Link) -> Option<Reason> {
        let says =
            said(&self.domains, &link.host, &link.path).or_else(|| said(&self.looks, &look(&link.host), &link.path));
        match says {
            Some(Says::Allow) => None,
            // the name of a service is no invitation
            Some(Says::Block(Reason::Invite)) if link.path.is_empty() && !link.sure && link.host.len() < 6 => None,
            // a name with a gap behind its dot ends a sentence, unless something follows it
            Some(Says::Block(reason)) => (!link.loose || !link.path.is_empty()).then_some(reason),
            None if self.only_allowed && link.sure => Some(Reason::Link),
            None => None,
        }
    }
}

/// What is said of a host or of what it is below, the longest first; an allowance wins over a block of the same.
fn said(domains: &HashMap<String, Vec<Entry>>, host: &str, path: &str) -> Option<Says> {
    let mut rest = host;
    loop {
        let fits = |entry: &&Entry| {
            path.strip_prefix(&*entry.path)
                .is_some_and(|tail| entry.path.is_empty() || tail.is_empty() || tail.starts_with(['/', '?', '#']))
        };
        let entries = domains.get(rest).into_iter().flatten().filter(fits);
        if let Some(entry) = entries.max_by_key(|entry| (entry.path.len(), entry.says == Says::Allow)) {
            return Some(entry.says);
        }
        rest = rest.split_once('.')?.1;
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// A host with letters and the digits that imitate them brought together.
fn look(host: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | 'l' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    };
    host.chars().map(letter).collect::<String>().replace("vv", "w")
}

/// A link as it would be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub host: String,
    /// Without the first `/`, in small letters.
    pub path: String,
    pub span: Range<usize>,
    /// Whether it is a link for everybody, not just a name with a dot.
    pub sure: bool,
    /// Whether a space stands behind a dot and none before it, as at the end of a sentence.
    pub loose: bool,
}

/// A character of the text as links see it.
#[derive(Clone, Copy)]
struct Sign {
    c: char,
    start: usize,
    end: usize,
    /// Whether spaces stood before and behind what this dot or slash was written as.
    gaps: (bool, bool),
}

/// All that may be a link. Most texts have no dot but at the end of a sentence, and cost next to nothing.
pub(crate) fn find(skeleton: &Skeleton) -> Vec<Link> {
    let cells = &skeleton.cells;
    let dotted = cells
        .iter()
        .enumerate()
        .any(|(i, cell)| is_dot(cell.main) || matches!(cell.main, 'd' | 'p') && spelled(cells, i).is_some());
    if !dotted {
        return Vec::new();
    }
    let signs = signs(skeleton);
    let mut links: Vec<Link> = Vec::new();
    for at in 0..signs.len() {
        let from = links.last().map_or(0, |link| link.span.end);
        if signs[at].c == '.'
            && signs[at].start >= from
            && let Some(link) = link_at(&signs, at, from)
        {
            links.push(link);
        }
    }
    links
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '。' | '｡' | '․' | '．' | '•' | '·' | '∙' | '⋅' | '‧' | '●' | '܁' | '٠')
}

/// A dot or slash that is written out at this cell, with the cell behind it.
fn spelled(cells: &[crate::normalise::Cell], at: usize) -> Option<(char, usize)> {
    let (word, sign) = SPELLED.iter().find(|(word, _)| {
        word.chars().enumerate().all(|(i, c)| cells.get(at + i).is_some_and(|cell| cell.may_be(c) && cell.run == 1))
    })?;
    let end = at + word.len();
    let apart = |cell: Option<&crate::normalise::Cell>| cell.is_some_and(|cell| cell.separates());
    (apart(at.checked_sub(1).and_then(|i| cells.get(i))) && apart(cells.get(end))).then_some((*sign, end))
}

/// The text without what stands around dots and slashes to hide them.
fn signs(skeleton: &Skeleton) -> Vec<Sign> {
    let cells = &skeleton.cells;
    let mut signs: Vec<Sign> = Vec::with_capacity(cells.len());
    let mut at = 0;
    while let Some(cell) = cells.get(at) {
        let written = spelled(cells, at);
        let sign = match written {
            Some((sign, _)) => Some(sign),
            None if cell.run == 1 && is_dot(cell.main) => Some('.'),
            None => (cell.main == '/').then_some('/'),
        };
        if let Some(c) = sign {
            let mut before = false;
            let mut start = cell.start;
            // brackets and spaces before a dot belong to the disguise
            while let Some(last) = signs
                .last()
                .filter(|last| c == '.' && matches!(last.c, ' ' | '(' | '[' | '{' | '<' | '*' | '_' | '"' | '`'))
                && signs.len() >= 2
            {
                before = true;
                start = last.start;
                signs.pop();
            }
            at = written.map_or(at + 1, |(_, end)| end);
            let mut behind = false;
            let wrapped = matches!(cells.get(at), Some(next) if c == '.' && matches!(next.main, ' ' | ')' | ']' | '}' | '>' | '*' | '"' | '`'));
            let mut end = cells[at - 1].end;
            if wrapped && (before || written.is_some() || cells[at].main == ' ') {
                while let Some(next) =
                    cells.get(at).filter(|next| matches!(next.main, ' ' | ')' | ']' | '}' | '>' | '*' | '"' | '`'))
                {
                    behind = true;
                    end = next.end;
                    at += 1;
                }
            }
            for _ in 0..if c == '/' { cell.run.min(2) } else { 1 } {
                signs.push(Sign { c, start, end, gaps: (before || written.is_some(), behind) });
            }
            continue;
        }
        for _ in 0..cell.run.min(64) {
            signs.push(Sign { c: cell.main, start: cell.start, end: cell.end, gaps: (false, false) });
        }
        at += 1;
    }
    signs
}

fn in_label(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '$' | '!' | '|')
}

/// The link whose first dot this is.
fn link_at(signs: &[Sign], dot: usize, from: usize) -> Option<Link> {
    let mut first = dot;
    while first > 0 && in_label(signs[first - 1].c) && signs[first - 1].start >= from {
        first -= 1;
    }
    // `d i s c o r d . g g`
    let letters = |at: usize| signs.get(at).is_some_and(|s| s.c.is_alphanumeric());
    let space = |at: usize| signs.get(at).is_some_and(|s| s.c == ' ');
    let mut spelled = first;
    while (spelled < first || dot - first == 1)
        && spelled >= 2
        && space(spelled - 1)
        && letters(spelled - 2)
        && (spelled == 2 || !letters(spelled - 3))
        && signs[spelled - 2].start >= from
    {
        spelled -= 2;
    }
    let spaced = spelled < first && (first - spelled >= 6 || letters(dot + 1) && !letters(dot + 2));
    if spaced {
        first = spelled;
    }
    if first == dot || signs[first].c == '-' {
        return None;
    }
    let mut last = dot;
    let mut loose = false;
    let mut host: String = signs[first..dot].iter().map(|s| s.c).filter(|c| *c != ' ').collect();
    while signs.get(last).is_some_and(|s| s.c == '.') {
        let mut end = last + 1;
        while signs.get(end).is_some_and(|s| in_label(s.c) && s.c != '!') {
            end += 1;
        }
        if end == last + 1 {
            break;
        }
        loose |= signs[last].gaps == (false, true);
        host.push('.');
        host.extend(signs[last + 1..end].iter().map(|s| s.c));
        last = end;
        while spaced && space(last) && letters(last + 1) && !letters(last + 2) {
            host.push(signs[last + 1].c);
            last += 2;
        }
    }
    let (_, top) = host.rsplit_once('.')?;
    let top = top.to_owned();
    let mut end = last;
    if signs.get(end).is_some_and(|s| s.c == ':') && signs.get(end + 1).is_some_and(|s| s.c.is_ascii_digit()) {
        end += 1;
        while signs.get(end).is_some_and(|s| s.c.is_ascii_digit()) {
            end += 1;
        }
    }
    let mut path = String::new();
    if signs.get(end).is_some_and(|s| s.c == '/' || s.c == '?' || s.c == '#')
        || (space(end) && signs.get(end + 1).is_some_and(|s| s.c == '/'))
    {
        end += usize::from(space(end));
        while signs.get(end).is_some_and(|s| s.c == '/') {
            end += 1;
        }
        if spaced || space(end) {
            end += usize::from(space(end));
        }
        while let Some(sign) = signs.get(end).filter(|s| s.c != ' ' && !matches!(s.c, '"' | '<' | '>' | ')')) {
            path.push(sign.c);
            end += 1;
        }
    }
    let before = |n: usize| first.checked_sub(n).map(|at| signs[at].c);
    let schemed = before(1) == Some('/') && before(2) == Some('/');
    // `name@example.com` is no link, `https://good@bad.com` is one to bad.com
    if before(1) == Some('@') && !is_userinfo(signs, first - 1) || host.contains("..") {
        return None;
    }
    let known = TOP_LEVELS.contains(&&*top) && (!DOUBTFUL.contains(&&*top) || !path.is_empty());
    let address = host.split('.').count() == 4 && host.split('.').all(|n| n.parse::<u8>().is_ok());
    let sure =
        schemed || host.starts_with("www.") || known && !loose && !signs[dot].gaps.0 || address && !path.is_empty();
    let span = signs[first].start..signs[end - 1].end;
    Some(Link { host, path, span, sure, loose: loose && !schemed })
}

/// Whether what ends at this `@` is the part of a link that names a user.
fn is_userinfo(signs: &[Sign], at: usize) -> bool {
    let mut i = at;
    while i > 0 && signs[i - 1].c != ' ' && signs[i - 1].c != '/' {
        i -= 1;
    }
    i >= 2 && signs[i - 1].c == '/' && signs[i - 2].c == '/'
}

/// Spans that are addresses, not prose: words are not looked for there.
pub(crate) fn addresses(skeleton: &Skeleton, links: &[Link]) -> Vec<Range<usize>> {
    let plain = |link: &&Link| {
        let cells = skeleton.cells.iter().filter(|cell| link.span.contains(&cell.start));
        link.sure && cells.into_iter().all(|cell| cell.kind != Kind::Space)
    };
    links.iter().filter(plain).map(|link| link.span.clone()).collect()
}
