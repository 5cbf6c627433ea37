//! Words as a tree of letters, walked along a text that may be disguised.

use crate::{config::Mode, normalise::Skeleton};

/// A word of a rule, as the tree holds it.
#[derive(Debug)]
pub(crate) struct Word {
    /// Its place in the config's list of word rules.
    pub rule: usize,
    pub mode: Mode,
    /// Its letters, with `' '` for a gap.
    pub letters: Vec<char>,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<(char, u32)>,
    words: Vec<u32>,
}

/// The tree. Node 0 is its root.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    pub words: Vec<Word>,
    /// Bit n: some word starts with the nth letter of the alphabet; bit 31: with anything else.
    starts: u32,
}

impl Trie {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()], words: Vec::new(), starts: 0 }
    }

    /// The letters of a word as a text's skeleton has them, with one `' '` for each gap.
    pub(crate) fn letters(word: &str) -> Vec<char> {
        let mut letters = Vec::new();
        for cell in &Skeleton::of(word).cells {
            if !cell.separates() {
                letters.extend(std::iter::repeat_n(cell.main, cell.run as usize));
            } else if !letters.is_empty() && letters.last() != Some(&' ') {
                letters.push(' ');
            }
        }
        if letters.last() == Some(&' ') {
            letters.pop();
        }
        letters
    }

    pub(crate) fn insert(&mut self, word: Word) {
        if let Some(first) = word.letters.first() {
            self.starts |= 1 << start_bit(*first);
        }
        let mut at = 0;
        for &letter in &word.letters {
            at = match self.child(at, letter) {
                Some(child) => child,
                None => {
                    let child = self.nodes.len() as u32;
                    self.nodes.push(Node::default());
                    self.nodes[at as usize].children.push((letter, child));
                    child
                }
            };
        }
        self.nodes[at as usize].words.push(self.words.len() as u32);
        self.words.push(word);
    }

    /// Whether some word may start with this letter.
    pub(crate) fn may_start(&self, letter: char) -> bool {
        self.starts >> start_bit(letter) & 1 == 1
    }

    pub(crate) fn child(&self, node: u32, letter: char) -> Option<u32> {
        let node = &self.nodes[node as usize];
        node.children.iter().find(|(l, _)| *l == letter).map(|(_, child)| *child)
    }

    pub(crate) fn children(&self, node: u32) -> &[(char, u32)] {
        &self.nodes[node as usize].children
    }

    /// The words that end here.
    pub(crate) fn words_at(&self, node: u32) -> &[u32] {
        &self.nodes[node as usize].words
    }
}

fn start_bit(letter: char) -> u32 {
    match letter {
        'a'..='z' => u32::from(letter) - u32::from('a'),
        _ => 31,
    }
}
