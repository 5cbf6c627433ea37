//! Who is connected, in pages; and how somebody is sent away or made to come again.

use scenarios::{
    Client, Node,
    admin::{Admin, DEPLOY},
};
use serde_json::{Value, json};

use super::{member, probe_node, probe_toml};

async fn all(admin: &Admin, path: &str, limit: usize) -> anyhow::Result<(Vec<Value>, usize)> {
    let (mut items, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = admin.get(&format!("{path}limit={limit}{after}")).await?.json();
        items.extend(page["items"].as_array().expect("items").clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok((items, pages)),
        }
    }
}

/// Reads until the server says that this socket has left; before it there are events alone.
async fn told_to_go(client: &mut Client) -> anyhow::Result<()> {
    loop {
        let packet = client.text().await?;
        if packet == "41" {
            return Ok(());
        }
        anyhow::ensure!(packet.starts_with("42"), "{packet}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_users_and_rooms_are_listed_whole_in_pages() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut clients = Vec::new();
    for n in 0..7 {
        let user = format!("user {}", n % 3);
        let rooms = ["all".to_owned(), format!("room {n}")];
        let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
        clients.push(member(&node, if n < 5 { "/" } else { "/other" }, &user, &rooms).await?);
    }
    let mut ids: Vec<&str> = clients.iter().map(|client| client.id.as_str()).collect();
    ids.sort_unstable();
    let (sockets, pages) = all(&admin, "/v1/sockets?", 3).await?;
    let found: Vec<&str> = sockets.iter().filter_map(|socket| socket["id"].as_str()).collect();
    assert_eq!((found, pages), (ids, 3), "each once, in order");
    assert_eq!((&sockets[0]["connected"], &sockets[0]["address"]), (&json!(true), &json!("127.0.0.1")));

    let (rooms, _) = all(&admin, "/v1/rooms?", 2).await?;
    let names: Vec<_> = rooms.iter().map(|room| (room["namespace"].as_str(), room["name"].as_str())).collect();
    assert!(names.is_sorted() && names.len() == 9, "{names:?}");
    let of_all = rooms.iter().filter(|room| room["name"] == "all").map(|room| &room["sockets"]);
    assert_eq!(of_all.collect::<Vec<_>>(), [&json!(5), &json!(2)]);
    let (users, _) = all(&admin, "/v1/users?namespace=/other&", 1).await?;
    assert_eq!(users.iter().map(|user| &user["name"]).collect::<Vec<_>>(), ["user 0", "user 2"]);

    let total =
        async |query: &str| anyhow::Ok(admin.get(&format!("/v1/sockets?{query}")).await?.json()["total"].clone());
    assert_eq!(total("room=all").await?, 7);
    assert_eq!(total("room=all&namespace=/other").await?, 2);
    assert_eq!(total("user=user%200").await?, 3);
    assert_eq!(total("user=user%200&room=room%203").await?, 1);
    assert_eq!(total("namespace=/nowhere").await?, 0);
    let counts = admin.get("/v1/node").await?.json();
    assert_eq!((&counts["sockets"], &counts["namespaces"], &counts["rooms"]), (&json!(7), &json!(2), &json!(9)));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_a_page_has_what_the_node_allows() -> anyhow::Result<()> {
    let node = Node::start(&probe_toml().replace("[admin]\n", "[admin]\npage_max = 5\n")).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let mut clients = Vec::new();
    for n in 0..6 {
        clients.push(member(&node, "/", &format!("user {n}"), &[&format!("room {n}")]).await?);
    }
    for n in 0..6 {
        let act = if n % 2 == 0 { "disable" } else { "enable" };
        let changed = admin.send("POST", &format!("/v1/plugins/probe/{act}"), Value::Null).await?;
        assert_eq!(changed.status, 200, "{}", changed.text);
    }
    let count = |page: &Value| page["items"].as_array().map(Vec::len);
    for path in ["/v1/sockets", "/v1/users", "/v1/rooms"] {
        let page = admin.get(path).await?.json();
        assert_eq!((count(&page), &page["total"]), (Some(5), &json!(6)), "{path}: {page}");
        let next = page["next"].as_str().expect("there is more");
        let page = admin.get(&format!("{path}?after={next}")).await?.json();
        assert_eq!((count(&page), &page["next"]), (Some(1), &Value::Null), "{path}: {page}");
    }
    let history = admin.get("/v1/chain/history").await?.json();
    assert_eq!(count(&history), Some(5), "{history}");
    let older = admin.get(&format!("/v1/chain/history?before={}", history["next"])).await?.json();
    assert_eq!((count(&older), &older["next"]), (Some(2), &Value::Null), "{older}");
    let audit = admin.get("/v1/audit").await?.json();
    assert_eq!(count(&audit), Some(5), "{audit}");
    for path in [
        "/v1/sockets?limit=6",
        "/v1/users?limit=6",
        "/v1/rooms?limit=6",
        "/v1/chain/history?limit=6",
        "/v1/audit?last=6",
    ] {
        let refused = admin.get(path).await?;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid"), "{path}: {}", refused.text);
        assert!(refused.message().contains("admin.page_max allows 5"), "{path}: {}", refused.text);
    }
    assert_eq!(admin.get("/v1/sockets?limit=5").await?.status, 200);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_is_seen_by_its_client_the_plugins_and_the_rooms() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut ann = member(&node, "/", "ann", &["a"]).await?;
    let mut bea = member(&node, "/", "bea", &["a"]).await?;
    let answer = admin.send("POST", &format!("/v1/sockets/{}/kick", ann.id), json!({ "reason": "spam" })).await?;
    assert_eq!((answer.status, &answer.json()["sockets"]), (200, &json!(1)), "{}", answer.text);
    told_to_go(&mut ann).await?;
    let seen = loop {
        let saw = bea.event_named("probe:saw").await?;
        if saw["hook"] == "disconnect" || saw.to_string().contains("disconnect") {
            break saw.to_string();
        }
    };
    assert!(seen.contains("spam"), "{seen}");
    assert_eq!(admin.get("/v1/sockets?room=a").await?.json()["total"], 1);
    let again = admin.send("POST", &format!("/v1/sockets/{}/kick", ann.id), Value::Null).await?;
    assert_eq!((again.status, again.code().as_str()), (404, "not_found"));
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_sent_away_everywhere_or_from_one_namespace() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let _clients = [
        member(&node, "/", "ann", &[]).await?,
        member(&node, "/", "ann", &[]).await?,
        member(&node, "/other", "ann", &[]).await?,
        member(&node, "/other", "bea", &[]).await?,
    ];
    let kick = async |path: &str| anyhow::Ok(admin.send("POST", path, Value::Null).await?.json());
    assert_eq!(kick("/v1/users/ann/kick?namespace=/other").await?["sockets"], 1);
    assert_eq!(kick("/v1/users/ann/kick").await?["sockets"], 2);
    assert_eq!(kick("/v1/users/ann/kick").await?["error"]["code"], "not_found");
    assert_eq!(admin.get("/v1/sockets").await?.json()["total"], 1);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_sent_away_in_one_namespace_and_stays_in_the_others() -> anyhow::Result<()> {
    let (node, admin) = probe_node().await;
    let mut ann = member(&node, "/", "ann", &["a/tea"]).await?;
    let mut bea = member(&node, "/", "bea", &["a/tea", "b"]).await?;
    let mut cat = member(&node, "/other", "cat", &["a/tea"]).await?;
    let mut dan = member(&node, "/", "dan", &["b"]).await?;
    let kick = async |query: &str, body: Value| {
        let answer = admin.send("POST", &format!("/v1/rooms/a%2Ftea/kick{query}"), body).await?;
        anyhow::Ok((answer.status, answer.json()))
    };
    let (status, refused) = kick("", json!({ "reason": "x".repeat(257) })).await?;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid")), "{refused}");
    let (status, kicked) = kick("?namespace=/", json!({ "reason": "closing" })).await?;
    assert_eq!((status, &kicked["sockets"]), (200, &json!(2)), "{kicked}");
    for client in [&mut ann, &mut bea] {
        told_to_go(client).await?;
    }
    loop {
        let saw = dan.event_named("probe:saw").await?;
        if saw["hook"] == "disconnect" {
            assert_eq!(saw["reason"], "closing", "{saw}");
            break;
        }
    }
    assert_eq!(admin.get("/v1/sockets?room=a%2Ftea").await?.json()["items"][0]["id"], cat.id);
    cat.ask("probe:now", json!({})).await?;
    assert_eq!(kick("?namespace=/", Value::Null).await?.1["error"]["code"], "not_found");
    assert_eq!(kick("", Value::Null).await?.1["sockets"], 1);
    assert_eq!(admin.get("/v1/sockets").await?.json()["items"][0]["id"], dan.id);
    node.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_reconnect_ends_connections_without_a_word_and_nobody_recovers() -> anyhow::Result<()> {
    let toml = probe_toml() + "\n[recovery]\nnamespaces = [\"*\"]\n";
    let node = Node::start(&toml).await;
    let admin = Admin::new(node.admin.expect("it has an admin API"), DEPLOY);
    let mut ann = member(&node, "/", "ann", &["a"]).await?;
    let (id, secret) = (ann.id.clone(), ann.private_id.clone());
    let answer = admin.send("POST", "/v1/plugins/probe/reconnect", Value::Null).await?;
    assert_eq!((answer.status, &answer.json()["sockets"]), (200, &json!(1)), "{}", answer.text);
    let farewell = ann.farewell().await?;
    assert!(!farewell.packets.iter().any(|packet| packet.starts_with("41")), "{:?}", farewell.packets);
    // a client that shows its secret is a new socket: the old one has left
    let auth = json!({ "pid": secret, "user": "ann", "join": ["b"] });
    let back = Client::connect(node.address, "/", auth).await?;
    assert_ne!(back.id, id);
    let sockets = admin.get("/v1/sockets").await?.json();
    assert_eq!((&sockets["total"], &sockets["items"][0]["rooms"]), (&json!(1), &json!(["b"])), "{sockets}");
    assert_eq!(admin.send("POST", "/v1/plugins/nobody/reconnect", Value::Null).await?.status, 404);
    node.stop().await;
    Ok(())
}
