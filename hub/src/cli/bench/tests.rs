//! The generator against a server that does wrong on purpose: every fault is found, and nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Args, Progress, plan::Plan, run};

/// What the server does wrong. Message number 5 of a sender is where it happens, at member 1 of a room where one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Loses,
    Doubles,
    /// One member gets a sender's messages 5 and 6 the wrong way round.
    Swaps,
    /// One member gets the messages of two senders in another order than the others, each sender's in order.
    OrdersOtherwise,
    /// Messages reach another room as well.
    Leaks,
    HangsUp,
    RefusesMessages,
    RefusesJoins,
    RefusesNamespace,
    IgnoresJoins,
    AnswersHttp404,
    SpeaksOtherEngine,
}

type Outgoing = mpsc::UnboundedSender<Option<Vec<u8>>>;
/// A member, and the message that is held back for it.
type Member = (Outgoing, Option<Vec<u8>>);

struct Server {
    fault: Fault,
    /// Members in the order of joining.
    rooms: Mutex<HashMap<String, Vec<Member>>>,
}

impl Server {
    fn start(fault: Fault) -> SocketAddr {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let server = Arc::new(Self { fault, rooms: Mutex::default() });
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(server.clone().serve(stream));
                }
            });
        });
        told.recv().unwrap()
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        if self.fault == Fault::AnswersHttp404 {
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here\n";
            return stream.write_all(answer.as_bytes()).await.unwrap();
        }
        let accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(accept.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let (out, mut outgoing) = mpsc::unbounded_channel::<Option<Vec<u8>>>();
        tokio::spawn(async move {
            while let Some(Some(message)) = outgoing.recv().await {
                let mut frame = vec![0x81, 126];
                frame.extend((message.len() as u16).to_be_bytes());
                frame.extend(message);
                if writer.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        let open: &[u8] = if self.fault == Fault::SpeaksOtherEngine { b"hello" } else { b"0{\"sid\":\"x\"}" };
        out.send(Some(open.to_vec())).unwrap();
        while let Some(message) = read_masked(&mut reader).await {
            self.handle(&String::from_utf8(message).unwrap(), &out);
        }
        let _ = out.send(None);
    }

    fn handle(&self, message: &str, out: &Outgoing) {
        let say = |text: String| {
            // A client that is gone hears nothing.
            let _ = out.send(Some(text.into_bytes()));
        };
        let Some(packet) = message.strip_prefix("42") else {
            match message {
                "40" if self.fault == Fault::RefusesNamespace => say("44{\"message\":\"not today\"}".to_owned()),
                "40" => say("40{\"sid\":\"y\"}".to_owned()),
                _ => {}
            }
            return;
        };
        let (id, json) = packet.split_at(packet.find('[').unwrap());
        let [name, body]: [Value; 2] = serde_json::from_str(json).unwrap();
        match name.as_str().unwrap() {
            "echo" => say(format!("43{id}[{body}]")),
            "join" if self.fault == Fault::IgnoresJoins => {}
            "join" if self.fault == Fault::RefusesJoins => {
                say(format!("43{id}[{}]", json!({ "error": { "code": "rejected", "message": "members only" } })));
            }
            "join" => {
                let room = body["room"].as_str().unwrap().to_owned();
                self.rooms.lock().unwrap().entry(room).or_default().push((out.clone(), None));
                say(format!("43{id}[{}]", json!({ "ok": true })));
            }
            _ if self.fault == Fault::RefusesMessages && body["n"] == 5 => {
                say(format!("42[\"error\",{}]", json!({ "code": "rejected", "message": "no fives" })));
            }
            _ => self.broadcast(&body, &format!("42[\"message\",{body},\"offset\"]")),
        }
    }

    fn broadcast(&self, body: &Value, text: &str) {
        let mut rooms = self.rooms.lock().unwrap();
        if self.fault == Fault::Leaks && body["n"] == 5 {
            let (_, other) = rooms.iter_mut().find(|(name, _)| **name != body["room"]).unwrap();
            let _ = other[0].0.send(Some(text.as_bytes().to_vec()));
        }
        for (at, (member, held)) in rooms.get_mut(body["room"].as_str().unwrap()).unwrap().iter_mut().enumerate() {
            let here = at == 1 && body["n"] == 5;
            let mut send = |message: Vec<u8>| drop(member.send(Some(message)));
            match self.fault {
                Fault::Loses if here => {}
                Fault::HangsUp if here => drop(member.send(None)),
                Fault::Doubles if here => {
                    send(text.into());
                    send(text.into());
                }
                Fault::Swaps if here => *held = Some(text.into()),
                // Of two senders in a room: the first one's message comes after the next of the second one's.
                Fault::OrdersOtherwise
                    if at == 1 && body["s"] == 0 && body["n"].as_u64().is_some_and(|n| (5..10).contains(&n)) =>
                {
                    held.replace(text.into()).into_iter().for_each(&mut send);
                }
                Fault::OrdersOtherwise if body["s"] == 0 => {
                    held.take().into_iter().for_each(&mut send);
                    send(text.into());
                }
                _ => {
                    send(text.into());
                    held.take().into_iter().for_each(&mut send);
                }
            }
        }
    }
}

async fn read_masked(reader: &mut tokio::net::tcp::OwnedReadHalf) -> Option<Vec<u8>> {
    let [first, length] = [reader.read_u8().await.ok()?, reader.read_u8().await.ok()?];
    let length = match length & 0x7f {
        126 => usize::from(reader.read_u16().await.ok()?),
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    reader.read_exact(&mut mask).await.ok()?;
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await.ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    (first & 0x0f == 1).then_some(payload)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn bench(fault: Fault, words: &str) -> anyhow::Result<Value> {
    let url = format!("http://{}", Server::start(fault));
    let fixed = format!("bench {url} --duration 0.4 --warmup 0.2 --patience 1 --threads 2");
    let args = Line::try_parse_from(fixed.split_whitespace().chain(words.split_whitespace()))?.args;
    Ok(serde_json::to_value(run::run(Plan::parse(args)?, Progress::Off)?)?)
}

/// A run at a fixed rate, in which each of four senders in two rooms reaches message 5 and goes well beyond.
fn broadcast(fault: Fault) -> Value {
    bench(fault, "--connections 6 --rooms 2 --senders 4 --rate 200").unwrap()
}

fn assert_traffic(report: &Value, expect: Value) {
    for (key, value) in expect.as_object().unwrap() {
        assert_eq!(&report["traffic"][key], value, "{key} in {report:#}");
    }
}

#[test]
fn a_server_that_does_all_right_has_no_faults() {
    let report = broadcast(Fault::None);
    assert_eq!(report["faults"], json!([]), "{report:#}");
    assert_traffic(&report, json!({ "lost": 0, "duplicates": 0, "rooms_seen": 2, "rooms_in_one_order": 2 }));
    let sent = report["traffic"]["sent_in_all"].as_u64().unwrap();
    assert!(sent >= 80, "0.6 s at 200/s sent {sent}");
    assert_eq!(report["traffic"]["delivered_in_all"], sent * 3);
}

#[test]
fn a_closed_loop_keeps_its_window() {
    let report = bench(Fault::None, "--mode echo --connections 3 --window 4").unwrap();
    assert_eq!(report["faults"], json!([]), "{report:#}");
    assert!(report["traffic"]["deliveries"].as_u64().unwrap() > 100, "{report:#}");
    let report = bench(Fault::None, "--connections 6 --rooms 2 --senders 4 --closed-loop").unwrap();
    assert_eq!(report["faults"], json!([]), "{report:#}");
}

#[test]
fn a_lost_delivery_is_found() {
    let report = broadcast(Fault::Loses);
    assert_traffic(&report, json!({ "lost": 4, "duplicates": 0, "out_of_order": 0, "rooms_in_one_order": 0 }));
}

#[test]
fn a_doubled_delivery_is_found() {
    let report = broadcast(Fault::Doubles);
    assert_traffic(&report, json!({ "lost": 0, "duplicates": 4, "out_of_order": 0, "rooms_in_one_order": 2 }));
}

#[test]
fn a_senders_swapped_messages_are_found() {
    let report = bench(Fault::Swaps, "--connections 6 --rooms 2 --senders 2 --rate 200").unwrap();
    assert_traffic(&report, json!({ "lost": 0, "duplicates": 0, "out_of_order": 2, "members_in_other_order": 2 }));
}

#[test]
fn an_order_that_differs_between_members_is_found_though_each_sender_is_in_order() {
    let report = broadcast(Fault::OrdersOtherwise);
    assert_traffic(
        &report,
        json!({ "lost": 0, "out_of_order": 0, "rooms_in_one_order": 1, "members_in_other_order": 1 }),
    );
}

#[test]
fn a_message_in_the_wrong_room_is_found() {
    assert_traffic(&broadcast(Fault::Leaks), json!({ "lost": 0, "foreign": 4, "rooms_in_one_order": 2 }));
}

#[test]
fn a_connection_that_ends_early_is_counted_with_what_it_misses() {
    let report = broadcast(Fault::HangsUp);
    assert_eq!(report["connections"]["lost"], 2, "{report:#}");
    assert_eq!(report["traffic"]["lost"], 0, "{report:#}");
    assert!(report["traffic"]["lost_with_connections"].as_u64().unwrap() > 10, "{report:#}");
    assert!(report["faults"][0].as_str().unwrap().starts_with("2 connections ended early (first: "), "{report:#}");
}

#[test]
fn a_refused_message_is_told_in_the_servers_words() {
    let report = broadcast(Fault::RefusesMessages);
    assert_traffic(&report, json!({ "refused": 4, "lost": 12 }));
    assert!(report["faults"][0].as_str().unwrap().contains("no fives"), "{report:#}");
}

#[test]
fn a_message_without_its_ack_is_found() {
    let report = bench(Fault::None, "--connections 2 --rate 100 --ack").unwrap();
    assert_eq!(report["traffic"]["without_ack"], report["traffic"]["sent_in_all"], "{report:#}");
    assert_eq!(report["faults"].as_array().unwrap().len(), 1, "{report:#}");
}

#[test]
fn connections_that_only_come_and_go_are_counted() {
    let report = bench(Fault::None, "--mode connect --connections 2").unwrap();
    assert_eq!(report["faults"], json!([]), "{report:#}");
    assert!(report["connections"]["opened"].as_u64().unwrap() > 10, "{report:#}");
}

#[test]
fn a_server_that_cannot_be_measured_is_an_error_that_says_why() {
    for (fault, expect) in [
        (Fault::RefusesNamespace, "the namespace / refused the connection: not today"),
        (Fault::RefusesJoins, "the server let nobody join a room with `join`: [{\"error\":{\"code\":\"rejected\""),
        (
            Fault::AnswersHttp404,
            "the server answered 404 Not Found: not here: no Socket.IO v5 server (EIO=4) at this URL?",
        ),
        (Fault::SpeaksOtherEngine, "the server sent \"hello\" instead of Engine.IO's open packet"),
        (Fault::IgnoresJoins, "6 of 6 `join` events were not acknowledged within 1 s"),
    ] {
        let error = bench(fault, "--connections 6").expect_err("a run that says why it is none");
        let text = format!("{error:#}");
        assert!(text.contains(expect), "{fault:?}: {text}");
    }
}
